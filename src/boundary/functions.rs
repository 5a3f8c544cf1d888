//! The functional forms of cl-async: `tcp_connect` and the calls on sockets and servers.

use crate::boundary::adopt;
use crate::boundary::adopt::ToConnect;
use crate::boundary::args;
use crate::boundary::args::{Data, HostArg};
use crate::boundary::condition;
use crate::event_loop::state::Core;
use crate::io::conn::link::Link;
use crate::io::conn::link::Timeouts;
use crate::io::setup::connect::Host;
use crate::objects::server::TcpServer;
use crate::socket::Socket;
use crate::socket::max_line::MaxLine;
use crate::socket::state::{Callbacks, Manners};
use crate::socket::streams;
use pyo3::prelude::*;

type Given<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

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
///     max_line: bytes (1 or more) of a line that `stream.readline()` returns, its newline not counted; None: no limit.
///
/// Returns the `Socket`, or the stream. Raises `EventLoopError`, `TypeError`, `ValueError`; all else comes to the
/// `event_cb`: `DnsError`, `TcpRefused`, `TcpTimeout`, …, with what each address said in `condition.attempts`. Callbacks
/// run in the loop's thread. cl-async: `tcp-connect`.
#[pyfunction]
#[pyo3(signature = (host, port, read_cb, event_cb=None, *, data=None, stream=false, connect_cb=None, write_cb=None,
                    read_timeout=None, write_timeout=None, dont_drain_read_buffer=None, allow_half_open=false,
                    local_address=None, family=None, close_cb=None, max_line=MaxLine::Usual,
                    sock=None, socket_options=None),
       text_signature = "(host, port, read_cb, event_cb=None, *, data=None, stream=False, connect_cb=None, \
                         write_cb=None, read_timeout=-1, write_timeout=-1, dont_drain_read_buffer=None, \
                         allow_half_open=False, local_address=None, family=0, close_cb=None, max_line=65536, \
                         sock=None, socket_options=None)")]
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
) -> PyResult<Py<PyAny>> {
    let target = target(host, port)?;
    let made = init_tcp_socket(
        host.py(),
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
    )?;
    Socket::connect(&args::socket("socket", made.bind(host.py()))?, target)?;
    Ok(made)
}

/// Makes a socket without connecting it; see `connect_tcp_socket`.
///
/// Args:
///     read_cb, event_cb, connect_cb, write_cb: callables or None.
///     data: bytes-like or str, sent once connected, before anything written before that.
///     read_timeout, write_timeout: seconds; None, 0, negative or infinite: none.
///     stream, dont_drain_read_buffer, allow_half_open, local_address, family, close_cb, max_line, sock, socket_options: as
///         all of these, see `tcp_connect`.
///
/// What is written before is sent once connected. It does not keep the loop running until it connects.
///
/// Returns the `Socket`, or the `AsyncIOStream` with `stream=True`. Raises `EventLoopError`, `TypeError`,
/// `ValueError`. Callbacks run in the loop's thread. cl-async: `init-tcp-socket`.
#[pyfunction]
#[pyo3(signature = (read_cb, event_cb=None, *, data=None, stream=false, connect_cb=None, write_cb=None,
                    read_timeout=None, write_timeout=None, dont_drain_read_buffer=None, allow_half_open=false,
                    local_address=None, family=None, close_cb=None, max_line=MaxLine::Usual,
                    sock=None, socket_options=None),
       text_signature = "(read_cb, event_cb=None, *, data=None, stream=False, connect_cb=None, write_cb=None, \
                         read_timeout=-1, write_timeout=-1, dont_drain_read_buffer=None, allow_half_open=False, \
                         local_address=None, family=0, close_cb=None, max_line=65536, \
                         sock=None, socket_options=None)")]
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
) -> PyResult<Py<PyAny>> {
    let callbacks = callbacks(read_cb, event_cb, connect_cb, write_cb, close_cb)?;
    let timeouts = args::timeouts(
        ("read_timeout", read_timeout),
        ("write_timeout", write_timeout),
    )?;
    let family = args::family("family", family)?;
    let options = args::socket_options("socket_options", socket_options)?;
    let given = ToConnect::from(sock)?;
    let manners = Manners {
        half_open: allow_half_open,
        stream,
        dont_drain: dont_drain_read_buffer,
        local: args::local_address("local_address", local_address)?,
        family: adopt::family_of(family, given.as_ref())?,
        max_line,
    };
    let socket = make(py, callbacks, timeouts, manners, data)?;
    let made = handle(&socket, stream)?;
    {
        let taken = given.map(|given| given.take()).transpose()?;
        let mut state = socket.get().state.lock();
        state.set_up(options, taken);
    }
    streams::let_go(&socket);
    Ok(made)
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
    let socket = args::socket("socket_or_stream", socket_or_stream)?;
    let target = target(host, port)?;
    let event = args::callback("event_cb", event_cb)?;
    let core = Core::current(host.py())?;
    if !std::ptr::eq(&raw const *core, &raw const *socket.get().core) {
        return Err(condition::loop_error(
            host.py(),
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

/// The callbacks of a connection, checked.
pub fn callbacks(
    read_cb: Given<'_, '_>,
    event_cb: Given<'_, '_>,
    connect_cb: Given<'_, '_>,
    write_cb: Given<'_, '_>,
    close_cb: Given<'_, '_>,
) -> PyResult<Callbacks> {
    Ok(Callbacks {
        read: args::callback("read_cb", read_cb)?,
        write: args::callback("write_cb", write_cb)?,
        event: args::callback("event_cb", event_cb)?,
        connect: args::callback("connect_cb", connect_cb)?,
        close: args::callback("close_cb", close_cb)?,
    })
}

/// A socket of the current loop, with `data` as the first that it will send.
pub fn make<'py>(
    py: Python<'py>,
    callbacks: Callbacks,
    timeouts: Timeouts,
    manners: Manners,
    data: Given<'_, 'py>,
) -> PyResult<Bound<'py, Socket>> {
    let data = data
        .filter(|data| !data.is_none())
        .map(|data| Data::from("data", data))
        .transpose()?;
    let core = Core::current(py)?;
    let link = Link::connecting(core.hub.new_key(), timeouts);
    let socket = Socket::make(py, core, link, callbacks, manners, None)?.into_bound(py);
    socket.get().core.remember(&socket)?;
    if let Some(data) = data {
        Socket::stage(&socket, data.as_slice()?, data.owner())?;
    }
    Ok(socket)
}

/// What the app gets: the socket or its stream.
pub fn handle(socket: &Bound<'_, Socket>, stream: bool) -> PyResult<Py<PyAny>> {
    let stream = if stream {
        streams::first(socket)?
    } else {
        None
    };
    let made = stream.unwrap_or_else(|| socket.clone().into_any());
    Ok(made.unbind())
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
///     socket_or_stream: a `Socket` or an `AsyncIOStream`.
///     data: bytes-like (C-contiguous; a mutable one is copied now) or str (sent as UTF-8).
///     read_cb, write_cb, event_cb: replace the socket's from now on, where given.
///     start, end: send `data[start:end]` (counted in bytes, within the data).
///
/// Raises `SocketClosed`, `TcpBrokenPipe` after `shutdown_write()`, `TypeError`, `ValueError`. Callable from any
/// thread; callbacks run in the loop's. cl-async: `write-socket-data`.
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
        &args::socket("socket_or_stream", socket_or_stream)?,
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
    let socket = args::socket("socket", socket)?;
    Socket::check_open(&socket)?;
    Socket::close(&socket, force)
}

/// `socket.closed`: whether the socket was closed, by the app or with its condition. cl-async: `socket-closed-p`.
#[pyfunction]
pub fn socket_closed_p(socket: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(args::socket("socket", socket)?.get().is_closed())
}

/// `socket.c`: the OS socket as a `socket.socket` over the same connection, None before there is one. Raises
/// `TypeError`. Callable from any thread. cl-async: `socket-c`.
#[pyfunction]
pub fn socket_c(socket: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
    Socket::c(&args::socket("socket", socket)?)
}

/// `socket.data`: what the app keeps there. cl-async: `socket-data`.
#[pyfunction]
pub fn socket_data(socket: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
    Ok(args::socket("socket", socket)?.get().data(socket.py()))
}

/// `socket.enable(read=…, write=…)`: reads and/or writes again; timeouts start afresh. Neither: nothing happens.
/// Raises `SocketClosed`. Callable from any thread. cl-async: `enable-socket`.
#[pyfunction]
#[pyo3(signature = (socket, *, read=false, write=false))]
pub fn enable_socket(socket: &Bound<'_, PyAny>, read: bool, write: bool) -> PyResult<()> {
    Socket::enable(&args::socket("socket", socket)?, read, write)
}

/// `socket.disable(read=…, write=…)`: stops reading and/or writing, losing nothing. Neither: nothing happens. Raises
/// `SocketClosed`. Callable from any thread. cl-async: `disable-socket`.
#[pyfunction]
#[pyo3(signature = (socket, *, read=false, write=false))]
pub fn disable_socket(socket: &Bound<'_, PyAny>, read: bool, write: bool) -> PyResult<()> {
    Socket::disable(&args::socket("socket", socket)?, read, write)
}

/// `socket.set_timeouts(read_sec, write_sec)`: replaces both timeouts (seconds; None, 0, negative or infinite: none).
/// Raises `SocketClosed`, `TypeError`, `ValueError`. Callable from any thread. cl-async: `set-socket-timeouts`.
#[pyfunction]
pub fn set_socket_timeouts(
    socket: &Bound<'_, PyAny>,
    read_sec: Option<&Bound<'_, PyAny>>,
    write_sec: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    Socket::set_timeouts(&args::socket("socket", socket)?, read_sec, write_sec)
}

/// `server.close()`: stops listening at once; existing connections live on. Again: nothing. Callable from any thread.
/// cl-async: `close-tcp-server`.
#[pyfunction]
pub fn close_tcp_server(server: &Bound<'_, TcpServer>) -> PyResult<()> {
    server.get().close(server.py())
}

/// `timer.cancel()`: the callback does not run (again). Twice does nothing. cl-async: `remove-interval`.
#[pyfunction]
pub fn remove_interval(timer: &Bound<'_, crate::objects::timer::Timer>) -> PyResult<()> {
    crate::objects::timer::Timer::cancel(timer)
}
