//! A `Socket` from its making to its end. What Python calls is in `socket.rs`, the states are in `phase.rs`.

use crate::boundary::condition;
use crate::boundary::tls_context::name_of;
use crate::io::conn::link::Link;
use crate::io::setup::connect;
use crate::io::setup::connect::{Host, Target};
use crate::io::setup::dial::{Given, Setup};
use crate::io::sync::Mutex;
use crate::io::tls::config::ClientTls;
use crate::shared::loop_state::LoopState;
use crate::socket::ending;
use crate::socket::object::{Origin, Socket};
use crate::socket::os_socket;
use crate::socket::phase::{Phase, Step};
use crate::socket::reason::Reason;
use crate::socket::state::{Callbacks, Settings, State};
use crate::socket::streams;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use rustls::pki_types::ServerName;
use socket2::Socket as OwnedSocket;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

impl Socket {
    /// A socket in `phase`, not yet in the loop's table.
    pub fn make(
        py: Python<'_>,
        event_loop: Arc<LoopState>,
        link: Arc<Link>,
        callbacks: Callbacks,
        settings: Settings,
        origin: Option<Origin>,
    ) -> PyResult<Py<Self>> {
        let phase = if origin.is_some() {
            Phase::Open
        } else {
            Phase::Idle
        };
        link.set_wants_flushed(callbacks.write.is_some());
        let state = Mutex::new(State::new(phase, callbacks, settings));
        let socket = Self {
            event_loop,
            link,
            origin,
            closed: AtomicBool::new(false),
            state,
        };
        let socket = Py::new(py, socket)?;
        if settings.stream || settings.keeps() {
            streams::make_own(socket.bind(py))?;
        }
        Ok(socket)
    }

    /// Begins to connect; errors come to the `event_cb`.
    pub fn connect(slf: &Bound<'_, Self>, host: Host) -> PyResult<()> {
        let socket = slf.get();
        let tls = tls_for(socket, &host)?;
        if !socket.step(Step::Connect) {
            return Err(if socket.is_closed() {
                condition::socket_closed(slf)
            } else {
                condition::connected_twice(slf)
            });
        }
        let target = {
            let mut state = socket.state.lock();
            state.target = Some(Box::new(host.clone()));
            let extras = state.extras_mut_if_any();
            let family = extras.as_ref().and_then(|extras| extras.family);
            let setup = extras.map_or_else(Setup::default, |extras| Setup {
                local: extras.local,
                options: std::mem::take(&mut extras.options),
                given: extras.given.take().map(Given::from),
                preface: extras.preface.take().unwrap_or_default(),
            });
            Target {
                host,
                setup,
                family,
                tls,
            }
        };
        streams::keep_own(slf)?;
        socket
            .event_loop
            .table
            .insert(socket.link.key, slf.clone().into_any().unbind());
        connect::start(&socket.event_loop.hub, &socket.link, target);
        Ok(())
    }

    /// Begins with a connection that was made elsewhere: it is open from here on, though Python is told later.
    pub fn take_over(slf: &Bound<'_, Self>, connection: OwnedSocket) -> PyResult<()> {
        let socket = slf.get();
        socket.step(Step::Connect);
        socket.step(Step::Establish);
        streams::keep_own(slf)?;
        let event_loop = &socket.event_loop;
        event_loop
            .table
            .insert(socket.link.key, slf.clone().into_any().unbind());
        connect::take_over(&event_loop.hub, &socket.link, connection);
        Ok(())
    }

    /// Closes it: no callback starts from here on but its `close_cb`, all are let go. Again: nothing.
    pub fn end(slf: &Bound<'_, Self>, force: bool) {
        let socket = slf.get();
        if !socket.close_once() {
            return;
        }
        // What was written waits for a handshake: until that can begin, events are looked for.
        let waits = !force && socket.waits_for_handshake();
        if !waits {
            drop(socket.end_upgrade());
        }
        let phase = Self::release_app(slf);
        // Before the task closes its own: an abortive close takes the last descriptor.
        os_socket::close(socket, slf.py());
        if phase != Phase::Idle {
            let pointless = phase == Phase::Connecting && socket.link.is_pointless();
            socket
                .link
                .close(&socket.event_loop.hub, force || pointless);
            socket.event_loop.mark_dirty(&socket.link);
            socket.event_loop.nudge();
            if !waits {
                drop(socket.event_loop.remove(socket.link.key));
            }
        } else {
            // Never in the table, so no `Gone` will free its key.
            socket.event_loop.hub.keys.free_key(socket.link.key);
        }
    }

    /// Its connection belongs to somebody else from now on: closes it without touching that.
    pub fn end_given_away(slf: &Bound<'_, Self>) {
        let socket = slf.get();
        if !socket.close_once() {
            return;
        }
        Self::release_app(slf);
        os_socket::close(socket, slf.py());
        socket.link.give_away(&socket.event_loop.hub);
        drop(socket.event_loop.remove(socket.link.key));
    }

    /// Its `close_cb` will run, if a connection was begun; all else that it calls and would tell is let go.
    fn release_app(slf: &Bound<'_, Self>) -> Phase {
        let (phase, mut callbacks, others) = {
            let mut state = slf.get().state.lock();
            let phase = std::mem::replace(&mut state.phase, Phase::Closed);
            (
                phase,
                std::mem::take(&mut state.callbacks),
                state.take_for_drop(),
            )
        };
        if let Some(close_cb) = callbacks.close.take_if(|_| phase != Phase::Idle) {
            ending::leave(slf, close_cb);
        }
        drop((callbacks, others));
        phase
    }

    /// The loop has ended: like [`Socket::end`], while the I/O side is gone already.
    pub fn end_with_loop(slf: &Bound<'_, Self>) {
        let socket = slf.get();
        ending::begin(socket, Reason::LoopEnd);
        if socket.close_once() {
            Self::release_app(slf);
        }
        socket.link.abandon();
        os_socket::close(socket, slf.py());
    }
}

/// TLS, and whom the certificate must be for.
fn tls_for(
    socket: &Socket,
    host: &Host,
) -> PyResult<Option<(Arc<ClientTls>, ServerName<'static>)>> {
    let config = {
        let mut state = socket.state.lock();
        let extras = state.extras_mut_if_any();
        extras.and_then(|extras| extras.tls.clone())
    };
    let Some(config) = config else {
        return Ok(None);
    };
    let name = match (&config.server_name, host) {
        (Some(name), _) => name.clone(),
        (None, Host::Address(address)) => ServerName::IpAddress(address.ip().into()),
        (None, Host::Name(name, _)) => name_of(name)?,
        // Nobody looks at it, and an address is not sent.
        (None, Host::Unix(_)) if !config.verifies => {
            ServerName::IpAddress(IpAddr::from(Ipv4Addr::LOCALHOST).into())
        }
        (None, Host::Unix(_)) => {
            let message =
                "TLS over a Unix socket needs a server_name, which the certificate must be for";
            return Err(PyValueError::new_err(message));
        }
    };
    Ok(Some((config, name)))
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.event_loop.is_forked() {
            // What it holds is given back under locks that a thread of the parent may have held.
            std::mem::forget(self.link.clone());
        } else if self.state.lock().phase == Phase::Idle {
            // Never in the table, so no `Gone` will free its key.
            self.event_loop.hub.keys.free_key(self.link.key);
        }
    }
}
