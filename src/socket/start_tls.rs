//! STARTTLS: a connection that is there begins to speak TLS. What it holds for that is in `upgrade.rs`.

use crate::boundary::args::refusal::wrong_type;
use crate::boundary::call::call;
use crate::boundary::condition;
use crate::boundary::memory;
use crate::boundary::tls_context::{client_of, name_of, server_of};
use crate::io::conn::control::Session;
use crate::io::extend::extend;
use crate::io::setup::connect::Host;
use crate::io::tls::failure::TlsFailure;
use crate::socket::object::Socket;
use crate::socket::phase::Phase;
use crate::socket::plain;
use crate::socket::streams;
use crate::socket::undelivered::{Held, Undelivered};
use crate::socket::upgrade::Upgrade;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::collections::TryReserveError;
use std::sync::atomic::Ordering;

/// The session that STARTTLS is to begin, as `server` or as what the socket was made.
pub(crate) fn session(
    slf: &Bound<'_, Socket>,
    config: &Bound<'_, PyAny>,
    server_side: Option<bool>,
    server_name: Option<&str>,
) -> PyResult<Session> {
    let elsewhere = "TLS is started by a callback of the socket's event loop";
    let secured = || condition::secured_twice(slf);
    plain::check(slf, &[Phase::Open], elsewhere, secured)?;
    let socket = slf.get();
    if socket.link.is_shut_down() {
        return Err(condition::write_is_shut(slf));
    }
    let refused = |failure: TlsFailure| condition::tls_refused(slf, &failure);
    if server_side.unwrap_or(socket.is_accepted()) {
        let config = server_of("config", Some(config))?
            .ok_or_else(|| wrong_type("config", "a TlsConfig.server(...)", config))?;
        return Session::server(&config).map_err(refused);
    }
    let config = client_of("config", Some(config))?
        .ok_or_else(|| wrong_type("config", "a TlsConfig.client(...)", config))?;
    let name = match (server_name, &config.server_name) {
        (Some(name), _) => name_of(name)?,
        (None, Some(name)) => name.clone(),
        (None, None) => name_of(&host_of(socket)?)?,
    };
    Session::client(&config, name).map_err(refused)
}

/// Whom it was connected to.
fn host_of(socket: &Socket) -> PyResult<String> {
    if let Some(Host::Name(name, _)) = socket.state.lock().target.as_deref() {
        return Ok(name.clone());
    }
    let (peer, _) = socket.link.addresses().ok_or_else(|| {
        PyValueError::new_err(
            "server_name is needed: the peer has no address that a certificate can be for",
        )
    })?;
    Ok(peer.ip().to_string())
}

/// Begins STARTTLS: from now on what the peer sends is the session's, and what is written waits for it.
pub(crate) fn start(
    slf: &Bound<'_, Socket>,
    session: Session,
    connect_cb: Option<Py<PyAny>>,
) -> PyResult<()> {
    let socket = slf.get();
    let mut received = Vec::new();
    // First, so that nothing is lost where there is no memory for it.
    let held = socket.state.lock().undelivered.size(slf.py());
    let wanted = held + socket.link.in_streams.load(Ordering::Relaxed);
    received.try_reserve(wanted).map_err(memory::error)?;
    // A stream makes objects of what it has: what is missing then is not to be overlooked.
    let later = take_received(slf, &mut received).inspect_err(|_| Socket::end(slf, true))?;
    let upgrade = Box::new(Upgrade {
        session: Some(session),
        received,
        connect_cb,
    });
    {
        let mut state = socket.state.lock();
        state.undelivered = later;
        state.extras_mut().upgrade = Some(upgrade);
        state.upgrading = true;
    }
    socket.link.begin_upgrade(&socket.event_loop.hub);
    socket.event_loop.mark_dirty(&socket.link);
    socket.event_loop.nudge();
    Ok(())
}

/// What the app does not know of is the session's. What else is to be told later.
fn take_received(slf: &Bound<'_, Socket>, received: &mut Vec<u8>) -> PyResult<Held> {
    let socket = slf.get();
    take_from_streams(slf, received)?;
    let held = std::mem::take(&mut socket.state.lock().undelivered);
    let mut later = Held::default();
    for one in held {
        match one {
            Undelivered::Data(data) => {
                let bytes = data.as_bytes(slf.py());
                memory::extend(received, bytes)?;
                let limits = &socket.event_loop.hub.inbox.memory;
                limits.delivered(&socket.link, bytes.len());
            }
            other => later.push_back(other),
        }
    }
    Ok(later)
}

/// What the app has not read from its streams came after what it knows, so it is the session's.
fn take_from_streams(slf: &Bound<'_, Socket>, received: &mut Vec<u8>) -> PyResult<()> {
    if !slf.get().state.lock().keeps {
        return Ok(());
    }
    let py = slf.py();
    let mut unread: Option<(bool, Bound<'_, PyBytes>)> = None;
    for stream in streams::live(slf) {
        // Asked first: all is read from each.
        let known = stream.getattr(intern!(py, "_was_read"))?.is_truthy()?;
        let rest = call(&stream.getattr(intern!(py, "read"))?, ())?;
        // None: nothing is there.
        let rest = rest.cast_into().unwrap_or_else(|_| PyBytes::new(py, b""));
        if unread
            .as_ref()
            .is_none_or(|other| is_better((known, &rest), other))
        {
            unread = Some((known, rest));
        }
    }
    if let Some((_, bytes)) = unread {
        memory::extend(received, bytes.as_bytes())?;
    }
    Ok(())
}

/// Whether a stream says better than the other what the app does not know: the one that was read, and of two the one
/// that was read further. Of those that were not read the older has more.
fn is_better(one: (bool, &Bound<'_, PyBytes>), other: &(bool, Bound<'_, PyBytes>)) -> bool {
    let (size, others) = (one.1.as_bytes().len(), other.1.as_bytes().len());
    match (one.0, other.0) {
        (true, true) => size < others,
        (false, false) => size > others,
        (known, _) => known,
    }
}

impl Socket {
    /// Keeps what came for a session that is to come. An error: there is no memory for it.
    pub(crate) fn keep_for_upgrade(&self, bytes: &[u8]) -> Result<(), TryReserveError> {
        let mut state = self.state.lock();
        if let Some(upgrade) = state.upgrade_mut() {
            extend(&mut upgrade.received, bytes)?;
        }
        Ok(())
    }

    /// Whether a handshake is to come that has not begun.
    pub(crate) fn waits_for_handshake(&self) -> bool {
        let mut state = self.state.lock();
        let upgrade = state.upgrade_mut();
        upgrade.is_some_and(|upgrade| upgrade.session.is_some())
    }

    /// The task receives nothing more: the handshake begins, with what was received for it.
    pub(crate) fn begin_handshake(&self) {
        let begun = {
            let mut state = self.state.lock();
            state.upgrade_mut().and_then(|upgrade| {
                let received = std::mem::take(&mut upgrade.received);
                upgrade.session.take().map(|session| (session, received))
            })
        };
        if let Some((session, received)) = begun {
            self.link.upgrade(&self.event_loop.hub, session, received);
        }
    }

    /// The handshake is done; what is to be called.
    pub(crate) fn end_upgrade(&self) -> Option<Py<PyAny>> {
        let ended = {
            let mut state = self.state.lock();
            state.upgrading = false;
            state
                .extras_mut_if_any()
                .and_then(|extras| extras.upgrade.take())
        };
        ended.and_then(|upgrade| upgrade.connect_cb)
    }
}
