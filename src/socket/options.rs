//! Options of the OS socket, remembered until there is a connection; and that socket as Python's own class.

use crate::io::failure::Failure;
use crate::socket::Socket;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use socket2::{SockRef, TcpKeepalive};
use std::os::fd::{AsFd, AsRawFd, IntoRawFd};

static OS_SOCKET: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
/// The class under Python's `socket.socket`.
static NATIVE_SOCKET: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// What the app wants of the OS socket.
#[derive(Debug, Clone)]
pub enum Wish {
    /// TCP_NODELAY.
    NoDelay(bool),
    /// SO_KEEPALIVE, with its times where given.
    Keepalive(bool, Option<TcpKeepalive>),
}

impl Wish {
    fn apply(&self, socket: SockRef<'_>) -> Result<(), Failure> {
        let applied = match self {
            Self::NoDelay(on) => socket.set_tcp_nodelay(*on),
            Self::Keepalive(on, None) => socket.set_keepalive(*on),
            Self::Keepalive(on, Some(times)) => {
                // Setting the times switches it on.
                let timed = socket.set_tcp_keepalive(times);
                timed.and_then(|()| socket.set_keepalive(*on))
            }
        };
        Ok(applied?)
    }
}

/// Applies `wish` now, or once connected.
pub fn want(socket: &Socket, wish: Wish) -> Result<(), Failure> {
    match socket.link.stream() {
        Some(stream) => {
            // Those of before come first, though the loop has not heard of the connection yet.
            grant(socket)?;
            wish.apply(SockRef::from(&*stream))
        }
        None => {
            socket.state.lock().extras_mut().wishes.push(wish);
            Ok(())
        }
    }
}

/// The connection is there: applies what was wanted before, in order.
pub fn grant(socket: &Socket) -> Result<(), Failure> {
    let wishes = {
        let mut state = socket.state.lock();
        if state.extras().is_none() {
            return Ok(());
        }
        std::mem::take(&mut state.extras_mut().wishes)
    };
    match socket.link.stream() {
        Some(stream) => wishes
            .iter()
            .try_for_each(|wish| wish.apply(SockRef::from(&*stream))),
        None => Ok(()),
    }
}

/// The OS socket: the same object each time, None before a connection exists.
pub fn os_socket(slf: &Bound<'_, Socket>) -> PyResult<Option<Py<PyAny>>> {
    let (py, socket) = (slf.py(), slf.get());
    if let Some(made) = made(socket, py) {
        return Ok(Some(made));
    }
    let Some(stream) = socket.link.stream().filter(|_| !socket.is_closed()) else {
        return Ok(None);
    };
    let duplicate = stream.as_fd().try_clone_to_owned().map_err(Failure::Os)?;
    let ours = OS_SOCKET
        .import(py, "asynctcp._os_socket", "OSSocket")?
        .call1((duplicate.as_raw_fd(),))?;
    let _ = duplicate.into_raw_fd();
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
pub fn close_os_socket(socket: &Socket, py: Python<'_>) {
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
