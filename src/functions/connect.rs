//! `tcp_connect`, and its two halves `init_tcp_socket` and `connect_tcp_socket`.

use crate::boundary::args;
use crate::boundary::args::HostArg;
use crate::boundary::condition;
use crate::functions::connect_arguments::ConnectArguments;
use crate::functions::new_socket::Given;
use crate::io::setup::connect::Host;
use crate::shared::loop_state::LoopState;
use crate::socket::max_line::MaxLine;
use crate::socket::object::Socket;
use crate::socket::socket_or_stream;
use crate::socket::state::Callbacks;
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
///     stream: return an `AsyncIOStream`; `read_cb(socket, stream)` is called each time there is new data in it.
///     connect_cb: `connect_cb(socket)` when established, before any `read_cb`.
///     write_cb: `write_cb(socket)` each time all that was written has been handed to the kernel.
///     read_timeout, write_timeout: seconds (int or float); None, 0, negative or infinite: none. Either also bounds
///         the attempt, lookup included.
///     dont_drain_read_buffer: None: as `stream`. False with a stream: `read_cb(socket, data)`, and the stream is for
///         writing. True without: `read_cb(socket, socket.stream)`.
///     allow_half_open: stay open for writing after the peer's end of stream.
///     local_address: (host, port) to connect from; port 0: any that is free for that peer.
///     family: `socket.AF_INET` or `AF_INET6`: uses addresses of that family only; `AF_UNSPEC`: both.
///     close_cb: `close_cb(socket, reason)`, once, after its end; see `Socket.set_callbacks`.
///     sock: a `socket.socket` that is not connected, with whatever options it has: it is connected, and belongs to the
///         `Socket` from then on (its `detach()` is called), unless this call raises. Its family decides which addresses are
///         tried, one after the other.
///     socket_options: a list of (level, name, value), value an int or bytes, set before connecting. What the system
///         refuses is an error of the attempt.
///     tls: None: plain; a `TlsConfig.client(...)`; True: `TlsConfig.client()`. `connect_cb` runs after the handshake.
///     max_line: bytes (1 or more) of a line that `stream.readline()` returns, its newline not counted; None: no limit.
///     send_proxy: a `ProxyHeader` (PROXY protocol), sent before anything else: names the client on whose behalf this
///         connection is made. It is not counted by `bytes_written`.
///
/// Returns the `Socket`, or the stream. Raises `EventLoopError`, `TypeError`, `ValueError`; all else comes to the
/// `event_cb`: `DnsError`, `TcpRefused`, `TcpTimeout`, …, with what each address said in `condition.attempts`. Callbacks
/// run in the loop's thread. cl-async: `tcp-connect`.
#[pyfunction]
#[pyo3(signature = (host, port, read_cb, event_cb=None, *, data=None, stream=false, connect_cb=None, write_cb=None,
                    read_timeout=None, write_timeout=None, dont_drain_read_buffer=None, allow_half_open=false,
                    local_address=None, family=None, close_cb=None, max_line=MaxLine::Usual,
                    sock=None, socket_options=None, send_proxy=None, tls=None),
       text_signature = "(host, port, read_cb, event_cb=None, *, data=None, stream=False, connect_cb=None, \
                         write_cb=None, read_timeout=-1, write_timeout=-1, dont_drain_read_buffer=None, \
                         allow_half_open=False, local_address=None, family=0, close_cb=None, max_line=65536, \
                         sock=None, socket_options=None, send_proxy=None, tls=None)")]
#[allow(clippy::too_many_arguments)]
pub fn tcp_connect(
    host: &Bound<'_, PyAny>,
    port: &Bound<'_, PyAny>,
    read_cb: Given<'_, '_>,
    event_cb: Given<'_, '_>,
    data: Given<'_, '_>,
    stream: bool,
    connect_cb: Given<'_, '_>,
    write_cb: Given<'_, '_>,
    read_timeout: Given<'_, '_>,
    write_timeout: Given<'_, '_>,
    dont_drain_read_buffer: Option<bool>,
    allow_half_open: bool,
    local_address: Given<'_, '_>,
    family: Given<'_, '_>,
    close_cb: Given<'_, '_>,
    max_line: MaxLine,
    sock: Given<'_, '_>,
    socket_options: Given<'_, '_>,
    send_proxy: Given<'_, '_>,
    tls: Given<'_, '_>,
) -> PyResult<Py<PyAny>> {
    let target = target(host, port)?;
    let given = ConnectArguments {
        read_cb,
        event_cb,
        data,
        stream,
        connect_cb,
        write_cb,
        read_timeout,
        write_timeout,
        dont_drain_read_buffer,
        allow_half_open,
        local_address,
        family,
        close_cb,
        max_line,
        sock,
        socket_options,
        send_proxy,
        tls,
    };
    let (socket, made) = given.make(host.py())?;
    Socket::connect(&socket, target)?;
    Ok(made)
}

/// Makes a socket without connecting it; see `connect_tcp_socket`.
///
/// Args:
///     read_cb, event_cb, connect_cb, write_cb: callables or None.
///     data: bytes-like or str, sent once connected, before anything written before that.
///     read_timeout, write_timeout: seconds; None, 0, negative or infinite: none.
///     stream, dont_drain_read_buffer, allow_half_open, local_address, family, close_cb, max_line: as of `tcp_connect`.
///     sock, socket_options, send_proxy, tls: as of `tcp_connect`.
///
/// What is written before is sent once connected. It does not keep the loop running until it connects.
///
/// Returns the `Socket`, or the `AsyncIOStream` with `stream=True`. Raises `EventLoopError`, `TypeError`,
/// `ValueError`. Callbacks run in the loop's thread. cl-async: `init-tcp-socket`.
#[pyfunction]
#[pyo3(signature = (read_cb, event_cb=None, *, data=None, stream=false, connect_cb=None, write_cb=None,
                    read_timeout=None, write_timeout=None, dont_drain_read_buffer=None, allow_half_open=false,
                    local_address=None, family=None, close_cb=None, max_line=MaxLine::Usual,
                    sock=None, socket_options=None, send_proxy=None, tls=None),
       text_signature = "(read_cb, event_cb=None, *, data=None, stream=False, connect_cb=None, write_cb=None, \
                         read_timeout=-1, write_timeout=-1, dont_drain_read_buffer=None, allow_half_open=False, \
                         local_address=None, family=0, close_cb=None, max_line=65536, \
                         sock=None, socket_options=None, send_proxy=None, tls=None)")]
#[allow(clippy::too_many_arguments)]
pub fn init_tcp_socket(
    py: Python<'_>,
    read_cb: Given<'_, '_>,
    event_cb: Given<'_, '_>,
    data: Given<'_, '_>,
    stream: bool,
    connect_cb: Given<'_, '_>,
    write_cb: Given<'_, '_>,
    read_timeout: Given<'_, '_>,
    write_timeout: Given<'_, '_>,
    dont_drain_read_buffer: Option<bool>,
    allow_half_open: bool,
    local_address: Given<'_, '_>,
    family: Given<'_, '_>,
    close_cb: Given<'_, '_>,
    max_line: MaxLine,
    sock: Given<'_, '_>,
    socket_options: Given<'_, '_>,
    send_proxy: Given<'_, '_>,
    tls: Given<'_, '_>,
) -> PyResult<Py<PyAny>> {
    let given = ConnectArguments {
        read_cb,
        event_cb,
        data,
        stream,
        connect_cb,
        write_cb,
        read_timeout,
        write_timeout,
        dont_drain_read_buffer,
        allow_half_open,
        local_address,
        family,
        close_cb,
        max_line,
        sock,
        socket_options,
        send_proxy,
        tls,
    };
    Ok(given.make(py)?.1)
}

/// Connects a socket of `init_tcp_socket`, in its loop's thread.
///
/// Args:
///     socket_or_stream: the socket or its stream.
///     host, port: as of `tcp_connect`.
///     event_cb: replaces the socket's, where given.
///
/// Returns `socket_or_stream`. Raises `TcpError` if it was connected before, `SocketClosed`, `EventLoopError` for a
/// socket of another thread's loop, `TypeError`, `ValueError`; what the network does comes to the `event_cb`, in the
/// loop's thread. cl-async: `connect-tcp-socket`.
#[pyfunction]
#[pyo3(signature = (socket_or_stream, host, port, *, event_cb=None))]
pub fn connect_tcp_socket(
    socket_or_stream: &Bound<'_, PyAny>,
    host: &Bound<'_, PyAny>,
    port: &Bound<'_, PyAny>,
    event_cb: Given<'_, '_>,
) -> PyResult<Py<PyAny>> {
    connect_to(socket_or_stream, || target(host, port), event_cb)
}

/// [`connect_tcp_socket`], wherever to.
pub fn connect_to(
    socket_or_stream: &Bound<'_, PyAny>,
    target: impl FnOnce() -> PyResult<Host>,
    event_cb: Given<'_, '_>,
) -> PyResult<Py<PyAny>> {
    let py = socket_or_stream.py();
    let socket = socket_or_stream::socket("socket_or_stream", socket_or_stream)?;
    let target = target()?;
    let event = args::callback("event_cb", event_cb)?;
    let event_loop = LoopState::current(py)?;
    if !std::ptr::eq(&raw const *event_loop, &raw const *socket.get().event_loop) {
        return Err(condition::loop_error(
            py,
            "the socket belongs to another event loop",
        ));
    }
    Socket::connect(&socket, target)?;
    drop(socket.get().replace_callbacks(Callbacks {
        event,
        ..Callbacks::default()
    }));
    Ok(socket_or_stream.clone().unbind())
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
