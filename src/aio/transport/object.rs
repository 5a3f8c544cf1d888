//! The class and what it holds.

use crate::aio::gil::Gil;
use crate::aio::object::NativeLoop;
use crate::aio::socket_number::SocketNumber;
use crate::aio::transport::extra::Extra;
use crate::aio::transport::outgoing::{Outgoing, Sent};
use crate::io::failure::Failure;
use crate::io::sys::platform::epoll::Interest;
use pyo3::prelude::*;
use std::io;
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
    /// None once the connection is lost.
    pub(crate) event_loop: Option<Py<NativeLoop>>,
    /// The socket, which is closed at the end.
    pub(crate) socket: Option<Py<PyAny>>,
    pub(crate) protocol: Option<Py<PyAny>>,
    pub(crate) server: Option<Py<PyAny>>,
    /// The same, once it is closed: programs go on to ask for it.
    pub(crate) closed: Option<Py<PyAny>>,
    pub(crate) extra: Extra,
    /// The protocol is called in it: the one that the connection was made in.
    pub(crate) context: Option<Py<PyAny>>,
    /// Its `connection_lost`, too; else in that of whoever ends the connection.
    pub(crate) is_lost_in_context: bool,
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
    pub(crate) is_closing: bool,
    /// What was sent need not arrive.
    pub(crate) is_aborted: bool,
    /// From the time when `connection_lost` is to be called; counts writes after it, for asyncio's warning.
    pub(crate) lost: u32,
    /// `write_eof` was called.
    pub(crate) eof: bool,
    pub(crate) is_paused: bool,
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
    /// It waits in the queue of what is ready, for this.
    pub(crate) ready: Interest,
    pub(crate) registered: Interest,
    pub(crate) high_water: usize,
    pub(crate) low_water: usize,
}

impl StreamTransport {
    /// Its socket, to receive and send; None once it is closed.
    pub(crate) fn descriptor(&self, py: Python<'_>) -> Option<BorrowedFd<'_>> {
        self.objects.with(py, |objects| {
            let socket = objects.socket.as_ref();
            socket.map(|socket| self.number.descriptor(socket))
        })
    }

    /// The program has closed the socket: its number may be another's by now.
    fn is_closed_behind(&self, py: Python<'_>) -> bool {
        self.objects.with(py, |objects| {
            let socket = objects.socket.as_ref();
            socket.is_some_and(|socket| self.number.is_closed(socket))
        })
    }

    pub(crate) fn event_loop<'py>(&self, py: Python<'py>) -> Option<Bound<'py, NativeLoop>> {
        self.objects.held(py, |objects| &objects.event_loop)
    }

    /// The protocol's steps run in it.
    pub(crate) fn context<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.objects.held(py, |objects| &objects.context)
    }

    pub(crate) fn protocol<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.objects.held(py, |objects| &objects.protocol)
    }

    /// It is a connection of that server's.
    pub(crate) fn is_of(&self, server: &Bound<'_, PyAny>) -> bool {
        self.objects.with(server.py(), |objects| {
            let its = objects.server.as_ref();
            its.is_some_and(|its| its.is(server))
        })
    }

    /// The selector says that it is ready. Whether it did not wait in the queue already.
    pub(crate) fn note(&self, py: Python<'_>, what: Interest) -> bool {
        self.flow
            .with(py, |flow| flow.ready.add(what.and(flow.registered)))
    }

    /// Has the selector tell of what is wanted now.
    pub(crate) fn register(
        slf: &Bound<'_, Self>,
        change: impl FnOnce(&mut Interest),
    ) -> PyResult<()> {
        let (py, me) = (slf.py(), slf.get());
        let before = me.flow.with(py, |flow| flow.registered);
        let mut wanted = before;
        change(&mut wanted);
        if wanted != Interest::NONE && me.is_closed_behind(py) {
            return Err(Failure::Os(io::Error::from_raw_os_error(libc::EBADF)).into());
        }
        let Some(event_loop) = me.event_loop(py) else {
            return Ok(());
        };
        let state = &event_loop.get().state;
        if state.register(slf, me.number.get(), before, wanted)? {
            me.flow.with(py, |flow| flow.registered = wanted);
        }
        Self::keep(slf)
    }

    /// The loop keeps it alive while it waits for something.
    pub(crate) fn keep(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, me) = (slf.py(), slf.get());
        let Some(event_loop) = me.event_loop(py) else {
            return Ok(());
        };
        let waits = me.flow.with(py, |flow| {
            flow.registered.writable || flow.registered.readable && !flow.is_paused
        });
        event_loop.get().state.keep(slf, me.number.get(), waits)
    }

    /// The selector does not tell of what comes any more.
    pub(crate) fn stop_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::register(slf, |wanted| wanted.readable = false)
    }

    /// The selector tells of what comes, unless nobody wants it.
    pub(crate) fn start_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        if slf.get().flow.with(slf.py(), |flow| flow.reads()) {
            Self::register(slf, |wanted| wanted.readable = true)
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
            is_closing: false,
            is_aborted: false,
            lost: 0,
            eof: false,
            is_paused: false,
            has_ended: false,
            protocol_is_paused: false,
            is_blocked: false,
            is_dirty: false,
            failure: None,
            ready: Interest::NONE,
            registered: Interest::NONE,
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

    /// Whether what comes goes to the protocol.
    pub(crate) fn reads(&self) -> bool {
        !self.is_closing && !self.is_paused && !self.has_ended
    }
}
