//! What a `Socket` holds of Python and of its own state, and how it behaves from the start.

use crate::io::setup::connect::Host;
use crate::io::setup::options::SocketOptions;
use crate::io::tls::config::ClientTls;
use crate::socket::max_line::MaxLine;
use crate::socket::phase::Phase;
use crate::socket::reason::Ending;
use crate::socket::stream_refs::Streams;
use crate::socket::tcp_option::TcpOption;
use crate::socket::undelivered::Held;
use crate::socket::upgrade::Upgrade;
use pyo3::prelude::*;
use socket2::Socket as OwnedSocket;
use std::net::SocketAddr;
use std::sync::Arc;

/// The app's functions; let go when the socket is closed.
#[derive(Default)]
pub struct Callbacks {
    /// `read_cb(socket, data)`.
    pub read: Option<Py<PyAny>>,
    /// `write_cb(socket)`.
    pub write: Option<Py<PyAny>>,
    /// `event_cb(condition)`.
    pub event: Option<Py<PyAny>>,
    /// `connect_cb(socket)`.
    pub connect: Option<Py<PyAny>>,
    /// `close_cb(socket, reason)`.
    pub close: Option<Py<PyAny>>,
}

impl Callbacks {
    /// Another holder of the same functions.
    pub fn clone_ref(&self, py: Python<'_>) -> Self {
        let copy =
            |callback: &Option<Py<PyAny>>| callback.as_ref().map(|callback| callback.clone_ref(py));
        Self {
            read: copy(&self.read),
            write: copy(&self.write),
            event: copy(&self.event),
            connect: copy(&self.connect),
            close: copy(&self.close),
        }
    }

    /// For Python's garbage collector.
    pub fn visit(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        let all = [
            &self.read,
            &self.write,
            &self.event,
            &self.connect,
            &self.close,
        ];
        all.into_iter().try_for_each(|one| visit.call(one))
    }
}

pub(crate) struct State {
    pub(crate) phase: Phase,
    pub(crate) callbacks: Callbacks,
    pub(crate) reading: bool,
    pub(crate) half_open: bool,
    /// What comes is for a session that is to come.
    pub(crate) upgrading: bool,
    /// Whom it is to be connected to, until it is.
    pub(crate) target: Option<Box<Host>>,
    pub(crate) undelivered: Held,
    /// Received bytes go to the streams (`dont_drain_read_buffer`).
    pub(crate) keeps: bool,
    /// Anything of the app's.
    pub(crate) data: Option<Py<PyAny>>,
    /// Once it is about to be closed by something else than the app.
    pub(crate) ending: Option<Box<Ending>>,
    extras: Option<Box<Extras>>,
}

/// What few sockets have, so that the many others pay for a pointer only.
#[derive(Default)]
pub(crate) struct Extras {
    /// The own address to connect from.
    pub(crate) local: Option<SocketAddr>,
    /// AF_INET or AF_INET6: the only one to connect with.
    pub(crate) family: Option<i32>,
    /// Streams over it.
    pub(crate) streams: Streams,
    /// See [`Settings`].
    pub(crate) max_line: MaxLine,
    /// Set before connecting.
    pub(crate) options: SocketOptions,
    /// Sent before anything else.
    pub(crate) preface: Option<Box<[u8]>>,
    /// The app's own OS socket, to be connected.
    pub(crate) given: Option<OwnedSocket>,
    /// The names of both ends where they are no IP addresses: peer's, own.
    pub(crate) names: Option<(Py<PyAny>, Py<PyAny>)>,
    /// Options to be set once connected.
    pub(crate) pending_options: Vec<TcpOption>,
    /// TLS of an outgoing connection.
    pub(crate) tls: Option<Arc<ClientTls>>,
    /// TLS on the way.
    pub(crate) upgrade: Option<Box<Upgrade>>,
    /// A write met the connection's failure, which is not to wait behind held data then.
    pub(crate) write_failed: bool,
    /// `socket.c`, once it was asked for.
    pub(crate) os_socket: Option<Py<PyAny>>,
}

impl State {
    /// For a socket in `phase` that reads and has nothing yet.
    pub(crate) fn new(phase: Phase, callbacks: Callbacks, settings: Settings) -> Self {
        Self {
            phase,
            callbacks,
            reading: true,
            half_open: settings.half_open,
            upgrading: false,
            target: None,
            undelivered: Held::default(),
            keeps: settings.keeps(),
            data: None,
            ending: None,
            extras: settings.is_particular().then(|| {
                Box::new(Extras {
                    local: settings.local,
                    family: settings.family,
                    max_line: settings.max_line,
                    ..Extras::default()
                })
            }),
        }
    }

    /// While the app does not read, and until it has what was held back before, what comes is held back as well.
    pub(crate) fn holds_back(&self) -> bool {
        !self.reading || !self.undelivered.is_empty() || self.upgrading
    }

    /// What a closed socket has no use for but its callbacks; to be dropped outside of the lock.
    pub(crate) fn take_for_drop(&mut self) -> impl Sized + use<> {
        let extras = self.extras.as_mut();
        (
            std::mem::take(&mut self.undelivered),
            extras.and_then(|extras| {
                let others = extras.tls.take();
                (extras.given.take(), extras.streams.release_own(), others).into()
            }),
        )
    }

    /// What few sockets have, if this one has any of it.
    pub(crate) fn extras(&self) -> Option<&Extras> {
        self.extras.as_deref()
    }

    /// The same, to be changed.
    pub(crate) fn extras_mut_if_any(&mut self) -> Option<&mut Extras> {
        self.extras.as_deref_mut()
    }

    /// TLS on the way, if it is.
    pub(crate) fn upgrade_mut(&mut self) -> Option<&mut Upgrade> {
        self.extras_mut_if_any()?.upgrade.as_deref_mut()
    }

    /// To be added to.
    pub(crate) fn extras_mut(&mut self) -> &mut Extras {
        self.extras.get_or_insert_default()
    }

    /// What shall be done with the OS socket before it is connected.
    pub(crate) fn set_up(
        &mut self,
        options: SocketOptions,
        given: Option<OwnedSocket>,
        tls: Option<Arc<ClientTls>>,
    ) {
        if given.is_some() || !options.is_empty() || tls.is_some() {
            let extras = self.extras_mut();
            (extras.options, extras.given, extras.tls) = (options, given, tls);
        }
    }

    /// See [`Extras::names`].
    pub(crate) fn set_names(&mut self, names: Option<(Py<PyAny>, Py<PyAny>)>) {
        if names.is_some() {
            self.extras_mut().names = names;
        }
    }

    /// To be dropped outside of the lock.
    pub(crate) fn take_extras(&mut self) -> Option<Box<Extras>> {
        self.extras.take()
    }

    /// For Python's garbage collector.
    pub(crate) fn visit(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        self.callbacks.visit(visit)?;
        visit.call(&self.data)?;
        if let Some(ending) = &self.ending {
            ending.visit(visit)?;
        }
        match self.extras() {
            Some(extras) => {
                extras.streams.visit(visit)?;
                if let Some(upgrade) = &extras.upgrade {
                    upgrade.visit(visit)?;
                }
                if let Some((peer, own)) = &extras.names {
                    visit.call(peer)?;
                    visit.call(own)?;
                }
                visit.call(&extras.os_socket)
            }
            None => Ok(()),
        }
    }
}

/// How a socket behaves from the start.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settings {
    /// It stays open for writing after the peer's end of stream.
    pub half_open: bool,
    /// The app gets an `AsyncIOStream`.
    pub stream: bool,
    /// `dont_drain_read_buffer`; None: as `stream`.
    pub dont_drain: Option<bool>,
    /// The own address to connect from.
    pub local: Option<SocketAddr>,
    /// AF_INET or AF_INET6: the only one to connect with.
    pub family: Option<i32>,
    /// What its streams take for a line.
    pub max_line: MaxLine,
}

impl Settings {
    /// Those of a server's connections.
    pub fn of(half_open: bool, stream: bool, dont_drain: Option<bool>, max_line: MaxLine) -> Self {
        Self {
            half_open,
            stream,
            dont_drain,
            max_line,
            ..Self::default()
        }
    }

    /// Received bytes go to a stream instead of the `read_cb`.
    pub fn keeps(self) -> bool {
        self.dont_drain.unwrap_or(self.stream)
    }

    /// It says how to connect.
    fn is_particular(self) -> bool {
        self.local.is_some() || self.family.is_some() || self.max_line != MaxLine::default()
    }
}
