//! The OS socket as Python's own class, `socket.c`.

use crate::io::failure::Failure;
use crate::io::sys::platform;
use crate::socket::object::Socket;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

static OS_SOCKET: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
/// The class under Python's `socket.socket`.
static NATIVE_SOCKET: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The OS socket: the same object each time, None before a connection exists.
pub fn get(slf: &Bound<'_, Socket>) -> PyResult<Option<Py<PyAny>>> {
    let (py, socket) = (slf.py(), slf.get());
    if let Some(made) = made(socket, py) {
        return Ok(Some(made));
    }
    let Some(wire) = socket.link.wire().filter(|_| !socket.is_closed()) else {
        return Ok(None);
    };
    let duplicate = platform::copy(wire.socket()).map_err(Failure::Os)?;
    let ours = OS_SOCKET
        .import(py, "asynctcp._os_socket", "OSSocket")?
        .call1((platform::number(&duplicate),))?;
    std::mem::forget(duplicate);
    let ours = ours.unbind();
    {
        let mut state = socket.state.lock();
        // Another thread may have made one, or closed the socket, while Python ran.
        let extras = state.extras_mut();
        if extras.os_socket.is_none() && !socket.is_closed() {
            extras.os_socket = Some(ours.clone_ref(py));
            return Ok(Some(ours));
        }
    }
    end(ours.bind(py))?;
    Ok(made(socket, py))
}

fn made(socket: &Socket, py: Python<'_>) -> Option<Py<PyAny>> {
    let state = socket.state.lock();
    let ours = state.extras()?.os_socket.as_ref()?;
    Some(ours.clone_ref(py))
}

/// Closes it with the socket.
pub fn close(socket: &Socket, py: Python<'_>) {
    let Some(ours) = made(socket, py) else {
        return;
    };
    if let Err(error) = end(ours.bind(py)) {
        error.write_unraisable(py, Some(ours.bind(py)));
    }
}

/// `OSSocket.close()`, also where files were made of it. Without a line of Python, so that no signal's handler runs and
/// what it raises is not lost.
fn end(ours: &Bound<'_, PyAny>) -> PyResult<()> {
    ours.setattr("_closed", true)?;
    let close = NATIVE_SOCKET.import(ours.py(), "_socket", "socket")?;
    close.call_method1("close", (ours,)).map(drop)
}
