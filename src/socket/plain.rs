//! Whether a callback can have a socket's connection for itself, as `detach()` and STARTTLS want it.

use crate::boundary::condition;
use crate::socket::object::Socket;
use crate::socket::phase::Phase;
use pyo3::prelude::*;

/// An error unless this is a callback of its loop (`elsewhere` says so), it speaks no TLS (`secured`) and is in one of
/// `phases`.
pub(crate) fn check(
    slf: &Bound<'_, Socket>,
    phases: &[Phase],
    elsewhere: &'static str,
    secured: impl FnOnce() -> PyErr,
) -> PyResult<()> {
    Socket::check_open(slf)?;
    let socket = slf.get();
    if !socket.event_loop.is_current() {
        return Err(condition::loop_error(slf.py(), elsewhere));
    }
    let (phase, upgrading) = {
        let state = socket.state.lock();
        (state.phase, state.upgrading)
    };
    if upgrading || socket.link.tls().is_some() {
        return Err(secured());
    }
    if phases.contains(&phase) {
        Ok(())
    } else {
        Err(condition::not_connected(slf))
    }
}
