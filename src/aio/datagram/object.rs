//! The class and what it holds.

use crate::aio::gil::Gil;
use crate::aio::socket_number::SocketNumber;
use crate::aio::transport::object::HIGH_WATER;
use crate::aio::watched::{Parties, Watch, Watched};
use crate::boundary::call::Method;
use crate::io::sys::platform::epoll::Interest;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use socket2::SockAddr;
use std::collections::VecDeque;
use std::io;

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
    pub(crate) parties: Parties,
    pub(crate) extra: Option<Py<PyDict>>,
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
    pub(crate) watch: Watch,
    pub(crate) is_closing: bool,
    /// From the time when `connection_lost` is to be called; counts sends after it, for asyncio's warning.
    pub(crate) lost: u32,
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
    pub(crate) high_water: usize,
    pub(crate) low_water: usize,
}

impl Default for Flow {
    fn default() -> Self {
        Self {
            outgoing: VecDeque::new(),
            size: 0,
            watch: Watch::default(),
            is_closing: false,
            lost: 0,
            protocol_is_paused: false,
            is_blocked: false,
            is_dirty: false,
            is_flushing: false,
            failures: Vec::new(),
            high_water: HIGH_WATER,
            low_water: HIGH_WATER / 4,
        }
    }
}

impl Flow {
    /// Whether what comes goes to the protocol.
    pub(crate) fn reads(&self) -> bool {
        !self.is_closing && !self.watch.is_paused && self.lost == 0
    }
}

impl Watched for DatagramTransport {
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

impl DatagramTransport {
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
        let is_new = me.flow.with(py, |flow| flow.watch.ready.add(what));
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
