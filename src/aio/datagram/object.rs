//! The class and what it holds.

use crate::aio::gil::Gil;
use crate::aio::object::NativeLoop;
use crate::aio::socket_number::SocketNumber;
use crate::aio::transport::object::HIGH_WATER;
use crate::boundary::call::Method;
use crate::io::failure::Failure;
use crate::io::sys::platform::epoll::Interest;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use socket2::SockAddr;
use std::collections::VecDeque;
use std::io;
use std::os::fd::BorrowedFd;

/// A socket of datagrams; `asynctcp.aio.DatagramTransport` inherits from it.
#[pyclass(frozen, subclass, weakref, module = "asynctcp._core")]
pub struct DatagramTransport {
    pub(crate) number: SocketNumber,
    /// AF_INET, AF_INET6 or AF_UNIX.
    pub(crate) family: i32,
    /// The system knows the peer.
    pub(crate) is_connected: bool,
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
    pub(crate) extra: Option<Py<PyDict>>,
    /// The protocol is called in it: the one that the transport was made in.
    pub(crate) context: Option<Py<PyAny>>,
    /// The only one to send to.
    pub(crate) address: Option<Py<PyAny>>,
    /// The last sender: many datagrams come from one.
    pub(crate) sender: Option<(SockAddr, Py<PyAny>)>,
    /// Received, and not delivered: the protocol has paused reading, or raised an exception.
    pub(crate) held: VecDeque<(Py<PyAny>, Py<PyAny>)>,
}

/// To whom.
pub(crate) enum To {
    /// The peer.
    Peer,
    /// That address.
    Address(SockAddr),
    /// What Python's socket makes of it.
    Object(Py<PyAny>),
}

/// One that waits to be sent.
pub(crate) struct Datagram {
    pub(crate) data: Py<PyBytes>,
    pub(crate) to: To,
}

/// What it is doing.
pub(crate) struct Flow {
    pub(crate) outgoing: VecDeque<Datagram>,
    /// Bytes of those, as asyncio counts them.
    pub(crate) size: usize,
    pub(crate) is_closing: bool,
    /// From the time when `connection_lost` is to be called; counts sends after it, for asyncio's warning.
    pub(crate) lost: u32,
    pub(crate) is_paused: bool,
    /// The protocol was told to pause writing.
    pub(crate) protocol_is_paused: bool,
    /// The kernel takes no more until it says so.
    pub(crate) is_blocked: bool,
    /// It is in the list of those that the turn flushes.
    pub(crate) is_dirty: bool,
    /// It is sending: what the protocol sends meanwhile, told of an error, waits for the next turn.
    pub(crate) is_flushing: bool,
    /// What sending ahead of the turn's flush has failed with.
    pub(crate) failures: Vec<io::Error>,
    /// It waits in the queue of what is ready, for this.
    pub(crate) ready: Interest,
    pub(crate) registered: Interest,
    pub(crate) high_water: usize,
    pub(crate) low_water: usize,
}

impl Default for Flow {
    fn default() -> Self {
        Self {
            outgoing: VecDeque::new(),
            size: 0,
            is_closing: false,
            lost: 0,
            is_paused: false,
            protocol_is_paused: false,
            is_blocked: false,
            is_dirty: false,
            is_flushing: false,
            failures: Vec::new(),
            ready: Interest::NONE,
            registered: Interest::NONE,
            high_water: HIGH_WATER,
            low_water: HIGH_WATER / 4,
        }
    }
}

impl Flow {
    /// Whether what comes goes to the protocol.
    pub(crate) fn reads(&self) -> bool {
        !self.is_closing && !self.is_paused && self.lost == 0
    }
}

impl DatagramTransport {
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

    pub(crate) fn protocol<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.objects.held(py, |objects| &objects.protocol)
    }

    /// The protocol's steps run in it.
    pub(crate) fn context<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.objects.held(py, |objects| &objects.context)
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

    /// The selector says that it is ready. Whether it did not wait in the queue already.
    pub(crate) fn note(&self, py: Python<'_>, what: Interest) -> bool {
        self.flow
            .with(py, |flow| flow.ready.add(what.and(flow.registered)))
    }

    /// What was held back is delivered in the next turn.
    pub(crate) fn deliver_soon(slf: &Bound<'_, Self>) {
        let (py, me) = (slf.py(), slf.get());
        if me.objects.with(py, |objects| !objects.held.is_empty()) {
            Self::run_soon(slf, Interest::READABLE);
        }
    }

    /// Has it take its turn, as if the selector had said so.
    pub(crate) fn run_soon(slf: &Bound<'_, Self>, what: Interest) {
        let (py, me) = (slf.py(), slf.get());
        let is_new = me.flow.with(py, |flow| flow.ready.add(what));
        if let Some(event_loop) = me.event_loop(py).filter(|_| is_new) {
            let me = slf.clone().into_any().unbind();
            event_loop.get().state.push(py, me);
        }
    }

    /// Tells the protocol something of its flow.
    pub(crate) fn tell_protocol(slf: &Bound<'_, Self>, name: &str) -> PyResult<()> {
        slf.method(intern!(slf.py(), "_tell_protocol"), (name,))
            .map(drop)
    }
}
