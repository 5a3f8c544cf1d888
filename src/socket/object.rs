//! The fields of a `Socket`, and what its parts ask of it. What Python calls is in `socket.rs`.

use crate::boundary::condition::{self, Subject};
use crate::io::conn::link::Link;
use crate::io::sync::Mutex;
use crate::shared::loop_state::{Life, LoopState};
use crate::socket::phase::Step;
use crate::socket::state::{Callbacks, State};
use pyo3::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The server that a socket came from.
pub struct Origin {
    /// The `TcpServer`.
    pub server: Py<PyAny>,
    /// How many of its sockets are open.
    pub open: Arc<AtomicUsize>,
}

/// A stream connection (TCP or Unix, plain or TLS).
///
/// It is what `tcp_connect`, `pipe_connect` and `adopt_tcp_socket` return and what a server's callbacks get; it is not made by
/// calling its class. For annotations it is generic in its `data`: `Socket[Session]`. In a forked child its methods raise
/// `EventLoopError`.
#[pyclass(frozen, generic, weakref, module = "asynctcp")]
pub struct Socket {
    /// Before the loop, which gets back what it was lent.
    pub(crate) link: Arc<Link>,
    pub(crate) event_loop: Arc<LoopState>,
    /// The server it came from.
    pub(crate) origin: Option<Origin>,
    pub(crate) closed: AtomicBool,
    /// Short sections with the interpreter's lock held; nothing of Python's is called or dropped under it.
    pub(crate) state: Mutex<State>,
}

impl Socket {
    /// Moves the socket on; false: its state refuses.
    pub fn step(&self, step: Step) -> bool {
        let mut state = self.state.lock();
        match state.phase.after(step) {
            Some(next) => {
                state.phase = next;
                true
            }
            None => false,
        }
    }

    /// Whether the app is done with it, or its loop is: one that was never connected is in no table to be closed from.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst) || self.event_loop.life() == Life::Ended
    }

    /// Whether it was closed while its loop ran, or by the loop's end.
    pub fn was_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Whether this closes it: from now on it is no open one of its server's.
    pub fn close_once(&self) -> bool {
        let first = !self.closed.swap(true, Ordering::SeqCst);
        if let Some(origin) = self.origin.as_ref().filter(|_| first) {
            origin.open.fetch_sub(1, Ordering::SeqCst);
        }
        first
    }

    /// Its `event_cb`.
    pub fn event_cb(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let state = self.state.lock();
        state.callbacks.event.as_ref().map(|own| own.clone_ref(py))
    }

    /// Whether it came from `server`.
    pub fn is_of(&self, server: &Bound<'_, PyAny>) -> bool {
        let own = self.origin.as_ref().map(|origin| &origin.server);
        own.is_some_and(|own| own.is(server))
    }

    /// Whether it came from a server.
    pub fn is_accepted(&self) -> bool {
        self.origin.is_some()
    }

    /// Peer's address for messages: `1.2.3.4:80`, `[::1]:80`; without a connection, what was to be connected to.
    pub fn peer_text(&self, py: Python<'_>) -> Option<String> {
        if let Some((peer, _)) = self.link.addresses() {
            return Some(peer.to_string());
        }
        if let Some((peer, _)) = self.names(py) {
            return Some(peer.to_string()).filter(|peer| !peer.is_empty());
        }
        if let Some((peer, _)) = self.link.ends() {
            return Some(peer.to_string()).filter(|peer| !peer.is_empty());
        }
        let target = self.state.lock().target.clone();
        target.map(|target| target.to_string())
    }

    /// The names of both ends where they are no IP addresses.
    pub fn names<'py>(&self, py: Python<'py>) -> Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let state = self.state.lock();
        let (peer, own) = state.extras()?.names.as_ref()?;
        Some((peer.bind(py).clone(), own.bind(py).clone()))
    }

    /// `SocketClosed` if it is closed.
    pub fn check_open(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.get().event_loop.check_process(slf.py())?;
        if slf.get().is_closed() {
            Err(condition::socket_closed(slf))
        } else {
            Ok(())
        }
    }

    /// Puts those that are given in the place of its own; returns the old ones, to be dropped.
    pub fn replace_callbacks(&self, given: Callbacks) -> Callbacks {
        let mut state = self.state.lock();
        let own = &mut state.callbacks;
        let replace = |own: &mut Option<Py<PyAny>>, given: Option<Py<PyAny>>| match given {
            Some(given) => own.replace(given),
            None => None,
        };
        Callbacks {
            read: replace(&mut own.read, given.read),
            write: replace(&mut own.write, given.write),
            event: replace(&mut own.event, given.event),
            connect: replace(&mut own.connect, given.connect),
            close: replace(&mut own.close, given.close),
        }
    }
}

impl<'py> Subject<'py> for Bound<'py, Socket> {
    fn object(&self) -> &Bound<'py, PyAny> {
        self.as_any()
    }

    fn peer(&self) -> Option<String> {
        self.get().peer_text(self.py())
    }
}
