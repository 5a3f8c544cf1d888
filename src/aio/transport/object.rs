//! The class and what it holds.

use crate::aio::context;
use crate::aio::gil::Gil;
use crate::aio::socket_number::SocketNumber;
use crate::aio::transport::extra::Extra;
use crate::aio::transport::outgoing::{Outgoing, Sent};
use crate::aio::watched::{Parties, Watch, Watched};
use pyo3::prelude::*;
use std::os::fd::BorrowedFd;

/// More bytes than so wait: the protocol is told to pause writing. asyncio's own.
pub(crate) const HIGH_WATER: usize = 64 * 1024;

/// A connection; `asynctcp.aio.Transport` inherits from it.
#[pyclass(frozen, subclass, weakref, module = "asynctcp._core")]
pub struct StreamTransport {
    pub(crate) number: SocketNumber,
    pub(crate) objects: Gil<Objects>,
    pub(crate) flow: Gil<Flow>,
}

/// Python objects. Whoever takes one out drops it outside of `Gil::with`.
pub(crate) struct Objects {
    pub(crate) parties: Parties,
    pub(crate) server: Option<Py<PyAny>>,
    /// The socket object after it was closed; programs still ask for it through `get_extra_info`.
    pub(crate) closed_socket: Option<Py<PyAny>>,
    pub(crate) extra: Extra,
    /// The program gave the context (CPython 3.15): all protocol calls use it. Otherwise reads use that of whoever resumed
    /// reading, and `connection_lost` that of whoever ended it.
    pub(crate) context_was_given: bool,
    /// Somebody waits until all is sent, to send from a file.
    pub(crate) empty_waiter: Option<Py<PyAny>>,
}

/// How the protocol takes what comes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Receiver {
    /// As bytes objects.
    Objects,
    /// Into a buffer of its own.
    Buffer,
    /// It is a native stream's.
    Stream,
    /// It is one of asyncio's streams.
    AsyncioStream,
    /// It is TLS, which receives by itself.
    Tls,
}

/// What it is doing.
pub(crate) struct Flow {
    pub(crate) outgoing: Outgoing,
    /// Bytes that came last: after much, the next are received where they stay.
    pub(crate) received: usize,
    pub(crate) receiver: Receiver,
    pub(crate) watch: Watch,
    pub(crate) is_closing: bool,
    /// What was sent need not arrive.
    pub(crate) is_aborted: bool,
    /// From the time when `connection_lost` is to be called; counts writes after it, for asyncio's warning.
    pub(crate) lost: u32,
    /// `write_eof` was called.
    pub(crate) eof: bool,
    /// The peer has ended, and the protocol keeps the connection.
    pub(crate) has_ended: bool,
    /// The protocol was told to pause writing.
    pub(crate) protocol_is_paused: bool,
    /// The kernel takes no more until it says so.
    pub(crate) is_blocked: bool,
    /// It is in the list of those that the turn flushes.
    pub(crate) is_dirty: bool,
    /// What sending has failed with, and the protocol is to be told.
    pub(crate) failure: Option<std::io::Error>,
    pub(crate) high_water: usize,
    pub(crate) low_water: usize,
}

impl Watched for StreamTransport {
    fn number(&self) -> SocketNumber {
        self.number
    }

    fn parties<R>(&self, py: Python<'_>, f: impl FnOnce(&mut Parties) -> R) -> R {
        self.objects.with(py, |objects| f(&mut objects.parties))
    }

    fn watch<R>(&self, py: Python<'_>, f: impl FnOnce(&mut Watch) -> R) -> R {
        self.flow.with(py, |flow| f(&mut flow.watch))
    }
}

impl StreamTransport {
    /// It is a connection of that server's.
    pub(crate) fn is_of(&self, server: &Bound<'_, PyAny>) -> bool {
        self.objects.with(server.py(), |objects| {
            let its = objects.server.as_ref();
            its.is_some_and(|its| its.is(server))
        })
    }

    /// What comes from now on is the protocol's in the context of who resumes reading, as asyncio has it, unless one was given.
    pub(crate) fn go_on_in_callers_context(&self, py: Python<'_>) -> PyResult<()> {
        if self.objects.with(py, |objects| objects.context_was_given) {
            return Ok(());
        }
        let new = context::copy(py)?;
        let old = self
            .objects
            .with(py, |objects| objects.parties.context.replace(new));
        drop(old);
        Ok(())
    }

    /// The selector does not tell of what comes any more.
    pub(crate) fn stop_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.get().register(slf, |wanted| wanted.readable = false)
    }

    /// The selector tells of what comes, unless nobody wants it.
    pub(crate) fn start_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        if slf.get().flow.with(slf.py(), |flow| flow.reads()) {
            slf.get().register(slf, |wanted| wanted.readable = true)
        } else {
            Ok(())
        }
    }
}

impl Flow {
    /// Of a new connection.
    pub(crate) fn new(receiver: Receiver) -> Self {
        Self {
            outgoing: Outgoing::default(),
            received: 0,
            receiver,
            watch: Watch::default(),
            is_closing: false,
            is_aborted: false,
            lost: 0,
            eof: false,
            has_ended: false,
            protocol_is_paused: false,
            is_blocked: false,
            is_dirty: false,
            failure: None,
            high_water: HIGH_WATER,
            low_water: HIGH_WATER / 4,
        }
    }

    /// There is nothing to send, or nobody to send it to now.
    pub(crate) fn sends_nothing(&self) -> bool {
        self.is_blocked || self.outgoing.is_empty() || self.lost > 0
    }

    /// Sends what waits, unless that has failed before.
    pub(crate) fn send(&mut self, py: Python<'_>, socket: BorrowedFd<'_>) -> Sent {
        match self.failure.take() {
            Some(failure) => Sent::Failed(failure),
            None => self.outgoing.send(py, socket),
        }
    }

    /// Some of what was to be sent is lost: nothing may be sent behind it.
    pub(crate) fn break_off(&mut self) {
        self.outgoing.clear();
        self.is_aborted = true;
    }

    /// Whether what comes goes to the protocol.
    pub(crate) fn reads(&self) -> bool {
        !self.is_closing && !self.watch.is_paused && !self.has_ended
    }
}
