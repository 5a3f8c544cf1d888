//! `tcp_server`.

use crate::boundary::args::refusal::wrong_type;
use crate::boundary::args::{self, HostArg, ProxyTimeout};
use crate::functions::listen_arguments::ListenArguments;
use crate::functions::new_socket::callbacks;
use crate::io::setup::listener::Options;
use crate::io::setup::listening::{ListenAt, Listening};
use crate::objects::server::TcpServer;
use crate::shared::loop_state::LoopState;
use crate::socket::max_line::MaxLine;
use crate::socket::state::Settings;
use pyo3::prelude::*;

/// Listens for TCP connections.
///
/// Args:
///     bind_address: None or "": any address, IPv4 and IPv6; else an address, or a host name: all of its addresses, see
///         `server.addresses`.
///     port: 0 to 65535; 0: any free port, see `server.port`.
///     read_cb: `read_cb(socket, data: bytes)`, or None.
///     event_cb: `event_cb(condition)` for each connection's conditions, for accept errors and for PROXY headers that are
///         refused (`ProxyError`, at most 10 a second); None: the default event handler.
///     connect_cb: `connect_cb(socket)` for each new connection, before its `read_cb`.
///     backlog: connections that may wait to be accepted; -1: the system's maximum.
///     stream: each socket has an `AsyncIOStream`, and `read_cb(socket, stream)` is called with it.
///     dont_drain_read_buffer: None: as `stream`. False with a stream: `read_cb(socket, data)`, and the stream is for
///         writing. True without: `read_cb(socket, socket.stream)`.
///     reuse_port: SO_REUSEPORT, so that several processes can listen on one port.
///     fd: the number of a descriptor that listens already (socket activation, a parent process): the server accepts
///         from a duplicate of it, and `bind_address`, `port` and `backlog` have no effect. The descriptor stays the
///         caller's to close, listens on until all that have it closed it, and does not block from now on.
///     read_timeout, write_timeout: seconds for each connection; None, 0, negative or infinite: none.
///     allow_half_open: a connection stays open for writing after the peer's end of stream.
///     max_line: bytes (1 or more) of a line that a stream's `readline()` returns, its newline not counted; None: no
///         limit.
///     max_connections: accepting pauses at this number (1 or more) of open connections; None: no limit.
///     family: `socket.AF_INET` or `AF_INET6`: listens at addresses of that family only; `AF_UNSPEC`: both.
///     socket_options: a list of (level, name, value), value an int or bytes: set on the listening socket, before it binds,
///         and on each connection's (where those that only a listening socket can have are left out).
///     tls: None: plain; a `TlsConfig.server(...)`, see `server.reload_tls`. `connect_cb` runs after the handshake; one that
///         fails goes to the `event_cb` as a `TlsError`.
///     max_handshakes: accepting pauses at this number (1 or more) of handshakes under way; None: 1024.
///     close_cb: `close_cb(socket, reason)` for each connection, once, after its end; see `Socket.set_callbacks`.
///     proxy_protocol: "require": each connection begins with a PROXY header (version 1 or 2), which names the client
///         on whose behalf it is made: `socket.peername` and `sockname`, with more in `socket.proxy`; `connect_cb` runs after
///         it. "accept": those from `proxy_from` may begin with one, others are served as they are. None: a header is data like
///         any other.
///     proxy_from: networks whose headers are believed, as `ipaddress.ip_network` reads them; None: everybody's, which
///         "accept" refuses. With "require" a connection from elsewhere is reset.
///     proxy_timeout: seconds in which the header must have come; None, 0, negative or infinite: no limit. With "accept" a
///         connection that is silent for so long is served as it is.
///
/// Returns the `TcpServer`. Raises `TcpServerBindError` if it cannot listen, `EventLoopError`, `TypeError`,
/// `ValueError`. Callbacks run in the loop's thread. cl-async: `tcp-server`.
#[pyfunction]
#[pyo3(signature = (bind_address, port, read_cb, event_cb=None, *, connect_cb=None, backlog=None, stream=false, dont_drain_read_buffer=None, reuse_port=false, fd=None,
                    read_timeout=None, write_timeout=None, allow_half_open=false, max_connections=None, close_cb=None, max_line=MaxLine::Usual, family=None, socket_options=None,
                    proxy_protocol=None, proxy_from=None, proxy_timeout=ProxyTimeout::default(), tls=None, max_handshakes=None),
       text_signature = "(bind_address, port, read_cb, event_cb=None, *, connect_cb=None, backlog=-1, stream=False, dont_drain_read_buffer=None, \
                         reuse_port=False, fd=None, read_timeout=-1, write_timeout=-1, allow_half_open=False, \
                         max_connections=None, close_cb=None, max_line=65536, family=0, socket_options=None, \
                         proxy_protocol=None, proxy_from=None, proxy_timeout=5, tls=None, max_handshakes=1024)")]
#[allow(clippy::too_many_arguments)]
pub fn tcp_server(
    bind_address: &Bound<'_, PyAny>,
    port: &Bound<'_, PyAny>,
    read_cb: Option<&Bound<'_, PyAny>>,
    event_cb: Option<&Bound<'_, PyAny>>,
    connect_cb: Option<&Bound<'_, PyAny>>,
    backlog: Option<&Bound<'_, PyAny>>,
    stream: bool,
    dont_drain_read_buffer: Option<bool>,
    reuse_port: bool,
    fd: Option<&Bound<'_, PyAny>>,
    read_timeout: Option<&Bound<'_, PyAny>>,
    write_timeout: Option<&Bound<'_, PyAny>>,
    allow_half_open: bool,
    max_connections: Option<&Bound<'_, PyAny>>,
    close_cb: Option<&Bound<'_, PyAny>>,
    max_line: MaxLine,
    family: Option<&Bound<'_, PyAny>>,
    socket_options: Option<&Bound<'_, PyAny>>,
    proxy_protocol: Option<&Bound<'_, PyAny>>,
    proxy_from: Option<&Bound<'_, PyAny>>,
    proxy_timeout: ProxyTimeout,
    tls: Option<&Bound<'_, PyAny>>,
    max_handshakes: Option<&Bound<'_, PyAny>>,
) -> PyResult<Py<TcpServer>> {
    let py = port.py();
    let callbacks = callbacks(read_cb, event_cb, connect_cb, None, close_cb)?;
    let number = args::port("port", port, 0)?;
    let given = ListenArguments {
        backlog,
        max_connections,
        read_timeout,
        write_timeout,
        socket_options,
        proxy_protocol,
        proxy_from,
        proxy_timeout,
        tls,
        max_handshakes,
    };
    let options = Options {
        reuse_port,
        family: args::family("family", family)?,
        ..given.options(false)?
    };
    let listening = Listening {
        place: place(bind_address, number)?,
        fd: args::optional_whole("fd", fd, 0)?,
        options,
    };
    let settings = Settings::of(allow_half_open, stream, dont_drain_read_buffer, max_line);
    let event_loop = LoopState::current(py)?;
    TcpServer::listen(&event_loop, bind_address, listening, callbacks, settings)
}

fn place(bind_address: &Bound<'_, PyAny>, port: u16) -> PyResult<ListenAt> {
    Ok(match args::bind_host("bind_address", bind_address)? {
        None => ListenAt::Any(port),
        Some(HostArg::Literal(mut address)) => {
            address.set_port(port);
            ListenAt::Address(address)
        }
        Some(HostArg::Name(name)) => ListenAt::Name(name, port),
    })
}

/// `server.close()`: stops listening at once; existing connections live on. Again: nothing. Callable from any thread.
/// cl-async: `close-tcp-server`.
#[pyfunction]
pub fn close_tcp_server(server: &Bound<'_, PyAny>) -> PyResult<()> {
    let wrong = |_| wrong_type("server", "a TcpServer", server);
    let server = server.cast::<TcpServer>().map_err(wrong)?;
    server.get().close(server.py())
}
