//! How a socket ended: the reason, as `close_reason` shows it, and the `close_cb` that is told of it once.

use crate::boundary::condition;
use crate::shared::closings::Closing;
use crate::socket::object::Socket;
use crate::socket::reason::{Ending, Reason};
use pyo3::prelude::*;
use pyo3::types::PyWeakrefReference;

/// From now on the socket is about to be closed for `reason`, whoever closes it. The first one counts.
pub fn begin(socket: &Socket, reason: Reason) {
    let mut ending = Some(Box::new(Ending {
        reason,
        shown: None,
    }));
    if !socket.was_closed() {
        let mut state = socket.state.lock();
        if state.ending.is_none() {
            state.ending = ending.take();
        }
    }
    // Not under the lock, if it is not the first.
    drop(ending);
}

/// The condition of the ending that has begun; None: there is none.
fn condition<'py>(slf: &Bound<'py, Socket>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = slf.py();
    let reason = {
        let state = slf.get().state.lock();
        let Some(ending) = state.ending.as_ref() else {
            return Ok(None);
        };
        if let Some(shown) = ending.shown(py) {
            return Ok(Some(shown));
        }
        ending.reason.clone_ref(py)
    };
    let made = reason.condition(slf)?;
    let mut reference = Some(PyWeakrefReference::new(&made)?.unbind());
    let shown = {
        let mut state = slf.get().state.lock();
        match state.ending.as_mut() {
            Some(ending) => {
                // Another thread may have made one while Python ran.
                let other = ending.shown(py);
                if other.is_none() {
                    std::mem::swap(&mut ending.shown, &mut reference);
                }
                other
            }
            None => None,
        }
    };
    drop(reference);
    Ok(Some(shown.unwrap_or(made)))
}

/// The closing condition, for the `event_cb`. After [`begin`].
pub fn told<'py>(slf: &Bound<'py, Socket>) -> PyResult<Bound<'py, PyAny>> {
    match condition(slf)? {
        Some(condition) => Ok(condition),
        // Another thread closed the socket before the ending began: nobody will be told this.
        None => condition::info("TcpEof", slf),
    }
}

/// `close_reason`: None for an open socket and for one that the app closed.
pub fn reason<'py>(slf: &Bound<'py, Socket>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let socket = slf.get();
    if !socket.is_closed() {
        return Ok(None);
    }
    match condition(slf)? {
        // One that was never connected is closed by its loop's end alone.
        None if !socket.was_closed() => condition::loop_ended(slf.py()).map(Some),
        reason => Ok(reason),
    }
}

/// `slf` was closed: its `close_cb` is to run in the next turn.
pub fn leave(slf: &Bound<'_, Socket>, close_cb: Py<PyAny>) {
    let py = slf.py();
    let shown = {
        let state = slf.get().state.lock();
        let ending = state.ending.as_ref();
        ending
            .and_then(|ending| ending.shown(py))
            .map(Bound::unbind)
    };
    let closing = Closing {
        socket: slf.clone().into_any().unbind(),
        close_cb,
        shown,
    };
    slf.get().event_loop.closings.push(closing);
}

/// What a `close_cb` is told.
pub fn reason_for<'py>(
    socket: &Bound<'py, Socket>,
    closing: &Closing,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    match &closing.shown {
        Some(shown) => Ok(Some(shown.bind(socket.py()).clone())),
        None => reason(socket),
    }
}
