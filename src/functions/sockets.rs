//! What is done with a socket: its methods, as cl-async has them.

use crate::socket::object::Socket;
use crate::socket::socket_or_stream::socket as socket_of;
use pyo3::prelude::*;

/// `socket.write(data, …)`: buffers `data` and sends it at the latest when the current batch of callbacks ends.
///
/// Args:
///     socket_or_stream: a `Socket` or an `AsyncIOStream`.
///     data: bytes-like (C-contiguous; a mutable one is copied now) or str (sent as UTF-8).
///     read_cb, write_cb, event_cb: replace the socket's from now on, where given.
///     start, end: send `data[start:end]` (counted in bytes, within the data).
///
/// Raises `SocketClosed`, `TcpBrokenPipe` after `shutdown_write()`, `TypeError`, `ValueError`, and `MemoryError` if there is
/// none to keep `data`. Callable from any thread; callbacks run in the loop's. cl-async: `write-socket-data`.
#[pyfunction]
#[pyo3(signature = (socket_or_stream, data, *, read_cb=None, write_cb=None, event_cb=None, start=None, end=None))]
#[allow(clippy::too_many_arguments)]
pub fn write_socket_data(
    socket_or_stream: &Bound<'_, PyAny>,
    data: &Bound<'_, PyAny>,
    read_cb: Option<&Bound<'_, PyAny>>,
    write_cb: Option<&Bound<'_, PyAny>>,
    event_cb: Option<&Bound<'_, PyAny>>,
    start: Option<&Bound<'_, PyAny>>,
    end: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    Socket::write(
        &socket_of("socket_or_stream", socket_or_stream)?,
        data,
        read_cb,
        write_cb,
        event_cb,
        start,
        end,
    )
}

/// `socket.close(force)`: no further callback runs; what was written is still sent, unless `force`. Raises
/// `SocketClosed` if it is closed already. Callable from any thread. cl-async: `close-socket`.
#[pyfunction]
#[pyo3(signature = (socket, *, force=false))]
pub fn close_socket(socket: &Bound<'_, PyAny>, force: bool) -> PyResult<()> {
    let socket = socket_of("socket", socket)?;
    Socket::check_open(&socket)?;
    Socket::close(&socket, force)
}

/// `socket.closed`: whether the socket was closed, by the app or with its condition. cl-async: `socket-closed-p`.
#[pyfunction]
pub fn socket_closed_p(socket: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(socket_of("socket", socket)?.get().is_closed())
}

/// `socket.c`: the OS socket as a `socket.socket` over the same connection, None before there is one. Raises
/// `TypeError`. Callable from any thread. cl-async: `socket-c`.
#[pyfunction]
pub fn socket_c(socket: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
    Socket::c(&socket_of("socket", socket)?)
}

/// `socket.data`: what the app keeps there. cl-async: `socket-data`.
#[pyfunction]
pub fn socket_data(socket: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
    Ok(socket_of("socket", socket)?.get().data(socket.py()))
}

/// `socket.enable(read=…, write=…)`: reads and/or writes again; timeouts start afresh. Neither: nothing happens.
/// Raises `SocketClosed`. Callable from any thread. cl-async: `enable-socket`.
#[pyfunction]
#[pyo3(signature = (socket, *, read=false, write=false))]
pub fn enable_socket(socket: &Bound<'_, PyAny>, read: bool, write: bool) -> PyResult<()> {
    Socket::enable(&socket_of("socket", socket)?, read, write)
}

/// `socket.disable(read=…, write=…)`: stops reading and/or writing, losing nothing. Neither: nothing happens. Raises
/// `SocketClosed`. Callable from any thread. cl-async: `disable-socket`.
#[pyfunction]
#[pyo3(signature = (socket, *, read=false, write=false))]
pub fn disable_socket(socket: &Bound<'_, PyAny>, read: bool, write: bool) -> PyResult<()> {
    Socket::disable(&socket_of("socket", socket)?, read, write)
}

/// `socket.set_timeouts(read_sec, write_sec)`: replaces both timeouts (seconds; None, 0, negative or infinite: none).
/// Raises `SocketClosed`, `TypeError`, `ValueError`. Callable from any thread. cl-async: `set-socket-timeouts`.
#[pyfunction]
pub fn set_socket_timeouts(
    socket: &Bound<'_, PyAny>,
    read_sec: Option<&Bound<'_, PyAny>>,
    write_sec: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    Socket::set_timeouts(&socket_of("socket", socket)?, read_sec, write_sec)
}
