//! `pipe_connect` with its two halves, and `pipe_server`: the TCP functions over Unix sockets.

use crate::boundary::args::{self, ProxyTimeout};
use crate::functions::connect::connect_to;
use crate::functions::connect_arguments::ConnectArguments;
use crate::functions::listen_arguments::ListenArguments;
use crate::functions::new_socket::{Given, callbacks};
use crate::io::setup::connect::Host;
use crate::io::setup::listening::{ListenAt, Listening};
use crate::io::setup::unix::FileOptions;
use crate::objects::server::TcpServer;
use crate::shared::loop_state::LoopState;
use crate::socket::max_line::MaxLine;
use crate::socket::object::Socket;
use crate::socket::state::Settings;
use pyo3::prelude::*;

/// All permissions that a file can have.
const MODES: i64 = 0o7777;

/// Connects to a Unix stream socket.
///
/// Args:
///     path: str, bytes or `os.PathLike`, of at most 107 bytes; `"\0name"`: in Linux's abstract namespace.
///     tls: a `TlsConfig.client(...)` with a `server_name`, for a path is none.
///     read_timeout, write_timeout: seconds; None, 0, negative or infinite: none.
///     read_cb, event_cb, data, stream, connect_cb, write_cb, dont_drain_read_buffer, allow_half_open: as of `tcp_connect`.
///     close_cb, max_line, socket_options, send_proxy: as of `tcp_connect`.
///
/// `peername` and `sockname` of the `Socket` are paths (str, `""` of a socket without a name). A peer that goes without having
/// read all is an end of stream, no reset: a `TcpEof`.
///
/// Returns the `Socket`, or the stream. Raises `EventLoopError`, `TypeError`, `ValueError`; all else comes to the
/// `event_cb`: `TcpRefused` where nobody listens, `TcpError` (`ENOENT`) where there is no file. Callbacks run in the loop's
/// thread. cl-async: `pipe-connect`.
#[pyfunction]
#[pyo3(signature = (path, read_cb, event_cb=None, *, data=None, stream=false, connect_cb=None, write_cb=None,
                    read_timeout=None, write_timeout=None, dont_drain_read_buffer=None, allow_half_open=false,
                    close_cb=None, max_line=MaxLine::Usual, socket_options=None, send_proxy=None, tls=None),
       text_signature = "(path, read_cb, event_cb=None, *, data=None, stream=False, connect_cb=None, write_cb=None, \
                         read_timeout=-1, write_timeout=-1, dont_drain_read_buffer=None, allow_half_open=False, \
                         close_cb=None, max_line=65536, socket_options=None, send_proxy=None, tls=None)")]
#[allow(clippy::too_many_arguments)]
pub fn pipe_connect(
    path: &Bound<'_, PyAny>,
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
    close_cb: Given<'_, '_>,
    max_line: MaxLine,
    socket_options: Given<'_, '_>,
    send_proxy: Given<'_, '_>,
    tls: Given<'_, '_>,
) -> PyResult<Py<PyAny>> {
    let target = Host::Unix(args::unix_path("path", path)?);
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
        close_cb,
        max_line,
        socket_options,
        send_proxy,
        tls,
        ..ConnectArguments::default()
    };
    let (socket, made) = given.make(path.py())?;
    Socket::connect(&socket, target)?;
    Ok(made)
}

/// Makes a socket for `connect_pipe_socket`, as `init_tcp_socket` does for TCP.
///
/// Args:
///     read_timeout, write_timeout: seconds; None, 0, negative or infinite: none.
///     read_cb, event_cb, data, stream, connect_cb, write_cb, dont_drain_read_buffer, allow_half_open: as of `tcp_connect`.
///     close_cb, max_line, socket_options, send_proxy, tls: as of `pipe_connect`.
///
/// Returns the `Socket`, or the `AsyncIOStream` with `stream=True`. Raises `EventLoopError`, `TypeError`, `ValueError`.
/// Callbacks run in the loop's thread. cl-async: `init-pipe-socket`.
#[pyfunction]
#[pyo3(signature = (read_cb, event_cb=None, *, data=None, stream=false, connect_cb=None, write_cb=None,
                    read_timeout=None, write_timeout=None, dont_drain_read_buffer=None, allow_half_open=false,
                    close_cb=None, max_line=MaxLine::Usual, socket_options=None, send_proxy=None, tls=None),
       text_signature = "(read_cb, event_cb=None, *, data=None, stream=False, connect_cb=None, write_cb=None, \
                         read_timeout=-1, write_timeout=-1, dont_drain_read_buffer=None, allow_half_open=False, \
                         close_cb=None, max_line=65536, socket_options=None, send_proxy=None, tls=None)")]
#[allow(clippy::too_many_arguments)]
pub fn init_pipe_socket(
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
    close_cb: Given<'_, '_>,
    max_line: MaxLine,
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
        close_cb,
        max_line,
        socket_options,
        send_proxy,
        tls,
        ..ConnectArguments::default()
    };
    Ok(given.make(py)?.1)
}

/// Connects a socket of `init_pipe_socket`, in its loop's thread.
///
/// Args:
///     socket_or_stream: the socket or its stream.
///     path: as of `pipe_connect`.
///     event_cb: replaces the socket's, where given.
///
/// Returns `socket_or_stream`. Raises as `connect_tcp_socket` does. cl-async: `connect-pipe-socket`.
#[pyfunction]
#[pyo3(signature = (socket_or_stream, path, *, event_cb=None))]
pub fn connect_pipe_socket(
    socket_or_stream: &Bound<'_, PyAny>,
    path: &Bound<'_, PyAny>,
    event_cb: Given<'_, '_>,
) -> PyResult<Py<PyAny>> {
    let target = || Ok(Host::Unix(args::unix_path("path", path)?));
    connect_to(socket_or_stream, target, event_cb)
}

/// Listens for connections of Unix stream sockets.
///
/// Args:
///     path: str, bytes or `os.PathLike`, of at most 107 bytes; `"\0name"`: in Linux's abstract namespace. A socket's file at
///         which nobody answers is replaced; one at which somebody does is `TcpServerBindError` (`EADDRINUSE`), and so is any
///         other file.
///     mode: the file's permissions, whatever the umask.
///     unlink: remove the file when the server closes, if it still is this server's.
///     fd: the number of a descriptor that listens already: `path`, `mode`, `unlink` and `backlog` have no effect.
///     proxy_protocol: "require" or None: peers have no addresses here, by which "accept" tells whom to believe.
///     proxy_from: must be None. With "require" all headers are believed.
///     read_timeout, write_timeout, proxy_timeout: seconds; None, 0, negative or infinite: none.
///     read_cb, event_cb, connect_cb, backlog, stream, dont_drain_read_buffer, allow_half_open: as of `tcp_server`.
///     max_connections, close_cb, max_line, socket_options, tls, max_handshakes: as of `tcp_server`.
///
/// Returns the `TcpServer`, whose `address` and `host` are the path. Raises `TcpServerBindError` if it cannot listen,
/// `EventLoopError`, `TypeError`, `ValueError`. Callbacks run in the loop's thread. cl-async: `pipe-server`.
#[pyfunction]
#[pyo3(signature = (path, read_cb, event_cb=None, *, mode=None, unlink=true, connect_cb=None, backlog=None, stream=false,
                    dont_drain_read_buffer=None, fd=None, read_timeout=None, write_timeout=None, allow_half_open=false,
                    max_connections=None, close_cb=None, max_line=MaxLine::Usual, socket_options=None,
                    proxy_protocol=None, proxy_from=None, proxy_timeout=ProxyTimeout::default(), tls=None,
                    max_handshakes=None),
       text_signature = "(path, read_cb, event_cb=None, *, mode=0o600, unlink=True, connect_cb=None, backlog=-1, stream=False, \
                         dont_drain_read_buffer=None, fd=None, read_timeout=-1, write_timeout=-1, allow_half_open=False, \
                         max_connections=None, close_cb=None, max_line=65536, socket_options=None, \
                         proxy_protocol=None, proxy_from=None, proxy_timeout=5, tls=None, max_handshakes=1024)")]
#[allow(clippy::too_many_arguments)]
pub fn pipe_server(
    path: &Bound<'_, PyAny>,
    read_cb: Given<'_, '_>,
    event_cb: Given<'_, '_>,
    mode: Given<'_, '_>,
    unlink: bool,
    connect_cb: Given<'_, '_>,
    backlog: Given<'_, '_>,
    stream: bool,
    dont_drain_read_buffer: Option<bool>,
    fd: Given<'_, '_>,
    read_timeout: Given<'_, '_>,
    write_timeout: Given<'_, '_>,
    allow_half_open: bool,
    max_connections: Given<'_, '_>,
    close_cb: Given<'_, '_>,
    max_line: MaxLine,
    socket_options: Given<'_, '_>,
    proxy_protocol: Given<'_, '_>,
    proxy_from: Given<'_, '_>,
    proxy_timeout: ProxyTimeout,
    tls: Given<'_, '_>,
    max_handshakes: Given<'_, '_>,
) -> PyResult<Py<TcpServer>> {
    let callbacks = callbacks(read_cb, event_cb, connect_cb, None, close_cb)?;
    let address = args::unix_path("path", path)?;
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
    let options = given.options(true)?;
    let listening = Listening {
        place: ListenAt::Unix(address, file_options(mode, unlink)?),
        fd: args::optional_whole("fd", fd, 0)?,
        options,
    };
    let settings = Settings::of(allow_half_open, stream, dont_drain_read_buffer, max_line);
    let event_loop = LoopState::current(path.py())?;
    TcpServer::listen(&event_loop, path, listening, callbacks, settings)
}

fn file_options(mode: Given<'_, '_>, unlink: bool) -> PyResult<FileOptions> {
    let mode = match mode {
        None => 0o600,
        Some(mode) => args::within("mode", mode, 0, MODES)?,
    };
    Ok(FileOptions { mode, unlink })
}
