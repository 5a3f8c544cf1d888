//! The functional forms of cl-async: `tcp_connect` and the calls on sockets and servers.

use crate::args::{self, Data, HostArg};
use crate::core::Core;
use crate::io::Link;
use crate::io::connect::Host;
use crate::server::TcpServer;
use crate::socket::{Callbacks, Socket};
use pyo3::prelude::*;

/// Opens a TCP connection.
///
/// Args:
///     host: an IPv4 or IPv6 address or a host name (looked up asynchronously, both families, Happy Eyeballs:
///         RFC 8305).
///     port: 1 to 65535.
///     read_cb: `read_cb(socket, data: bytes)`, or None.
///     event_cb: `event_cb(condition)`; None: the default event handler.
///     data: bytes-like or str, sent once connected, before anything written later.
///     connect_cb: `connect_cb(socket)` when established, before any `read_cb`.
///     write_cb: `write_cb(socket)` each time all that was written has been handed to the kernel.
///     read_timeout, write_timeout: seconds (int or float); None, 0, negative or infinite: none. Either also bounds
///         the attempt, lookup included.
///     allow_half_open: stay open for writing after the peer's end of stream.
///     local_address: (host, port) to connect from.
///
/// Returns the `Socket`. Raises `EventLoopError`, `TypeError`, `ValueError`; all else comes to the `event_cb`:
/// `DnsError`, `TcpRefused`, `TcpTimeout`, … Callbacks run in the loop's thread. cl-async: `tcp-connect`.
#[pyfunction]
#[pyo3(signature = (host, port, read_cb, event_cb=None, *, data=None, connect_cb=None, write_cb=None,
                    read_timeout=None, write_timeout=None, allow_half_open=false, local_address=None),
       text_signature = "(host, port, read_cb, event_cb=None, *, data=None, connect_cb=None, write_cb=None, \
                         read_timeout=-1, write_timeout=-1, allow_half_open=False, local_address=None)")]
#[allow(clippy::too_many_arguments)]
pub fn tcp_connect(
    host: &Bound<'_, PyAny>,
    port: &Bound<'_, PyAny>,
    read_cb: Option<&Bound<'_, PyAny>>,
    event_cb: Option<&Bound<'_, PyAny>>,
    data: Option<&Bound<'_, PyAny>>,
    connect_cb: Option<&Bound<'_, PyAny>>,
    write_cb: Option<&Bound<'_, PyAny>>,
    read_timeout: Option<&Bound<'_, PyAny>>,
    write_timeout: Option<&Bound<'_, PyAny>>,
    allow_half_open: bool,
    local_address: Option<&Bound<'_, PyAny>>,
) -> PyResult<Py<Socket>> {
    let py = host.py();
    let target = target(host, port)?;
    let callbacks = Callbacks {
        read: args::callback("read_cb", read_cb)?,
        write: args::callback("write_cb", write_cb)?,
        event: args::callback("event_cb", event_cb)?,
        connect: args::callback("connect_cb", connect_cb)?,
    };
    let timeouts = args::timeouts(
        ("read_timeout", read_timeout),
        ("write_timeout", write_timeout),
    )?;
    let local = args::local_address("local_address", local_address)?;
    let data = data
        .filter(|data| !data.is_none())
        .map(|data| Data::from("data", data))
        .transpose()?;
    let core = Core::current(py)?;
    let link = Link::connecting(core.hub.new_key(), timeouts);
    let socket = Socket::make(py, core, link, callbacks, allow_half_open, None)?.into_bound(py);
    if let Some(data) = data {
        Socket::stage(&socket, data.as_slice()?)?;
    }
    Socket::connect(&socket, target, local)?;
    Ok(socket.unbind())
}

fn target(host: &Bound<'_, PyAny>, port: &Bound<'_, PyAny>) -> PyResult<Host> {
    let number = args::port("port", port, 1)?;
    Ok(match args::host("host", host)? {
        HostArg::Literal(mut address) => {
            address.set_port(number);
            Host::Address(address)
        }
        HostArg::Name(name) => Host::Name(name, number),
    })
}

/// `socket.write(data, …)`: buffers `data` and sends it at the latest when the current batch of callbacks ends.
///
/// Args:
///     socket: a `Socket`.
///     data: bytes-like (C-contiguous; a mutable one is copied now) or str (sent as UTF-8).
///     read_cb, write_cb, event_cb: replace the socket's from now on, where given.
///     start, end: send `data[start:end]` (counted in bytes, within the data).
///
/// Raises `SocketClosed`, `TcpBrokenPipe` after `shutdown_write()`, `TypeError`, `ValueError`. Callable from any
/// thread; callbacks run in the loop's. cl-async: `write-socket-data`.
#[pyfunction]
#[pyo3(signature = (socket, data, *, read_cb=None, write_cb=None, event_cb=None, start=None, end=None))]
#[allow(clippy::too_many_arguments)]
pub fn write_socket_data(
    socket: &Bound<'_, Socket>,
    data: &Bound<'_, PyAny>,
    read_cb: Option<&Bound<'_, PyAny>>,
    write_cb: Option<&Bound<'_, PyAny>>,
    event_cb: Option<&Bound<'_, PyAny>>,
    start: Option<&Bound<'_, PyAny>>,
    end: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    Socket::write(socket, data, read_cb, write_cb, event_cb, start, end)
}

/// `socket.close(force)`: no further callback runs; what was written is still sent, unless `force`. Raises
/// `SocketClosed` if it is closed already. Callable from any thread. cl-async: `close-socket`.
#[pyfunction]
#[pyo3(signature = (socket, *, force=false))]
pub fn close_socket(socket: &Bound<'_, Socket>, force: bool) -> PyResult<()> {
    Socket::close(socket, force)
}

/// `socket.closed`: whether the socket was closed, by the app or with its condition. cl-async: `socket-closed-p`.
#[pyfunction]
pub fn socket_closed_p(socket: &Bound<'_, Socket>) -> bool {
    socket.get().is_closed()
}

/// `socket.data`: what the app keeps there. cl-async: `socket-data`.
#[pyfunction]
pub fn socket_data(socket: &Bound<'_, Socket>) -> Option<Py<PyAny>> {
    socket.get().data(socket.py())
}

/// `socket.enable(…)`: reads and/or writes again. Raises `SocketClosed`. cl-async: `enable-socket`.
#[pyfunction]
#[pyo3(signature = (socket, *, read=false, write=false))]
pub fn enable_socket(socket: &Bound<'_, Socket>, read: bool, write: bool) -> PyResult<()> {
    Socket::enable(socket, read, write)
}

/// `socket.disable(…)`: stops reading and/or writing, losing nothing. Raises `SocketClosed`. cl-async:
/// `disable-socket`.
#[pyfunction]
#[pyo3(signature = (socket, *, read=false, write=false))]
pub fn disable_socket(socket: &Bound<'_, Socket>, read: bool, write: bool) -> PyResult<()> {
    Socket::disable(socket, read, write)
}

/// `socket.set_timeouts(…)`: replaces both timeouts (seconds; None, 0, negative or infinite: none). Raises
/// `SocketClosed`, `TypeError`, `ValueError`. cl-async: `set-socket-timeouts`.
#[pyfunction]
pub fn set_socket_timeouts(
    socket: &Bound<'_, Socket>,
    read_sec: Option<&Bound<'_, PyAny>>,
    write_sec: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    Socket::set_timeouts(socket, read_sec, write_sec)
}

/// `server.close()`: stops listening at once; existing connections live on. cl-async: `close-tcp-server`.
#[pyfunction]
pub fn close_tcp_server(server: &Bound<'_, TcpServer>) {
    server.get().close();
}

/// `timer.cancel()`. cl-async: `remove-interval`.
#[pyfunction]
pub fn remove_interval(timer: &Bound<'_, crate::timer::Timer>) {
    crate::timer::Timer::cancel(timer);
}
