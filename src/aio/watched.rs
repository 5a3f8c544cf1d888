//! What transports of streams and of datagrams have in common: a socket that the selector watches, a protocol, and a loop that keeps
//! them alive.

use crate::aio::object::NativeLoop;
use crate::aio::socket_number::SocketNumber;
use crate::boundary::call::Method;
use crate::io::failure::Failure;
use crate::io::sys::platform::epoll::Interest;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};
use std::io;
use std::os::fd::BorrowedFd;

/// The Python objects of each. Whoever takes one out drops it outside of `Gil::with`.
pub(crate) struct Parties {
    /// None once the connection is lost.
    pub(crate) event_loop: Option<Py<NativeLoop>>,
    /// The socket, which is closed at the end.
    pub(crate) socket: Option<Py<PyAny>>,
    pub(crate) protocol: Option<Py<PyAny>>,
    /// The protocol is called in it: the one that the transport was made in.
    pub(crate) context: Option<Py<PyAny>>,
}

impl Parties {
    /// Of a new transport.
    pub(crate) fn new(
        event_loop: &Bound<'_, NativeLoop>,
        socket: &Bound<'_, PyAny>,
        protocol: &Bound<'_, PyAny>,
        context: Py<PyAny>,
    ) -> Self {
        Self {
            event_loop: Some(event_loop.clone().unbind()),
            socket: Some(socket.clone().unbind()),
            protocol: Some(protocol.clone().unbind()),
            context: Some(context),
        }
    }

    /// All but the socket.
    pub(crate) fn take(&mut self) -> impl Sized + use<> {
        (
            self.event_loop.take(),
            self.protocol.take(),
            self.context.take(),
        )
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)?;
        visit.call(&self.socket)?;
        visit.call(&self.protocol)?;
        visit.call(&self.context)
    }
}

/// What the selector is asked, and has said.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    pub(crate) registered: Interest,
    /// The transport waits in the queue of what is ready, for this.
    pub(crate) ready: Interest,
    /// The protocol wants nothing now.
    pub(crate) is_paused: bool,
}

impl Watch {
    /// The transport waits for something that the kernel will tell.
    fn waits(&self) -> bool {
        self.registered.writable || self.registered.readable && !self.is_paused
    }
}

/// A transport of either kind; where it also is given as `transport`, that is itself as Python has it.
pub(crate) trait Watched {
    fn number(&self) -> SocketNumber;
    fn parties<R>(&self, py: Python<'_>, f: impl FnOnce(&mut Parties) -> R) -> R;
    fn watch<R>(&self, py: Python<'_>, f: impl FnOnce(&mut Watch) -> R) -> R;

    /// Its socket, to receive and send; None once it is closed.
    fn descriptor(&self, py: Python<'_>) -> Option<BorrowedFd<'_>> {
        self.parties(py, |parties| {
            let socket = parties.socket.as_ref();
            socket.map(|socket| self.number().descriptor(socket))
        })
    }

    /// The program has closed the socket: its number may be another's by now.
    fn is_closed_behind(&self, py: Python<'_>) -> bool {
        self.parties(py, |parties| {
            let socket = parties.socket.as_ref();
            socket.is_some_and(|socket| self.number().is_closed(socket))
        })
    }

    fn event_loop<'py>(&self, py: Python<'py>) -> Option<Bound<'py, NativeLoop>> {
        self.held(py, |parties| &parties.event_loop)
    }

    fn protocol<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.held(py, |parties| &parties.protocol)
    }

    /// The protocol's steps run in it.
    fn context<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.held(py, |parties| &parties.context)
    }

    fn held<'py, U>(
        &self,
        py: Python<'py>,
        pick: impl FnOnce(&Parties) -> &Option<Py<U>>,
    ) -> Option<Bound<'py, U>> {
        let object = self.parties(py, |parties| {
            pick(parties).as_ref().map(|object| object.clone_ref(py))
        });
        object.map(|object| object.into_bound(py))
    }

    /// The protocol is told that the connection is lost.
    fn tell_lost(&self, py: Python<'_>, error: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        let Some(protocol) = self.protocol(py) else {
            return Ok(());
        };
        protocol
            .method(intern!(py, "connection_lost"), (error,))
            .map(drop)
    }

    /// The selector says that it is ready. Whether it did not wait in the queue already.
    fn note(&self, py: Python<'_>, what: Interest) -> bool {
        self.watch(py, |watch| watch.ready.add(what.and(watch.registered)))
    }

    /// Has the selector tell of what is wanted now.
    fn register(
        &self,
        transport: &Bound<'_, PyAny>,
        change: impl FnOnce(&mut Interest),
    ) -> PyResult<()> {
        let py = transport.py();
        let before = self.watch(py, |watch| watch.registered);
        let mut wanted = before;
        change(&mut wanted);
        if wanted != Interest::NONE && self.is_closed_behind(py) {
            return Err(Failure::Os(io::Error::from_raw_os_error(libc::EBADF)).into());
        }
        let Some(event_loop) = self.event_loop(py) else {
            return Ok(());
        };
        let state = &event_loop.get().state;
        if state.register(transport, self.number().get(), before, wanted)? {
            self.watch(py, |watch| watch.registered = wanted);
        }
        self.keep(transport)
    }

    /// The loop keeps it alive while it waits for something.
    fn keep(&self, transport: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = transport.py();
        let Some(event_loop) = self.event_loop(py) else {
            return Ok(());
        };
        let waits = self.watch(py, |watch| watch.waits());
        let state = &event_loop.get().state;
        state.keep(transport, self.number().get(), waits)
    }
}
