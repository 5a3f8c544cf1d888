//! The `TcpServer` that Python sees, and `tcp_server`.

use crate::boundary::args;
use crate::boundary::args::HostArg;
use crate::boundary::condition;
use crate::event_loop::state::{Core, Entry};
use crate::io::conn::link::Link;
use crate::io::failure::Failure;
use crate::io::setup::bind;
use crate::io::setup::listener::{Listener, Options};
use crate::io::setup::resolve::is_of;
use crate::io::sync::Mutex;
use crate::socket::max_line::MaxLine;
use crate::socket::state::{Callbacks, Manners};
use crate::socket::{Socket, address_tuple};
use pyo3::prelude::*;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A listening server: what `tcp_server` returns.
#[pyclass(frozen, weakref, module = "asynctcp")]
pub struct TcpServer {
    core: Arc<Core>,
    listener: Arc<Listener>,
    /// At least one.
    addresses: Vec<SocketAddr>,
    closed: AtomicBool,
    /// For each connection; let go when the accept loop has ended.
    callbacks: Mutex<Callbacks>,
    manners: Manners,
}

impl TcpServer {
    /// The socket of a new connection, in the loop's table.
    pub fn welcome(slf: &Bound<'_, Self>, link: Arc<Link>) -> PyResult<Py<Socket>> {
        let (py, server) = (slf.py(), slf.get());
        let callbacks = server.callbacks.lock().clone_ref(py);
        let (key, owner) = (link.key, slf.clone().unbind());
        let socket = Socket::make(
            py,
            server.core.clone(),
            link,
            callbacks,
            server.manners,
            Some(owner),
        )?;
        server.core.insert(key, Entry::Socket(socket.clone_ref(py)));
        Ok(socket)
    }

    /// Where its conditions go.
    pub fn event_cb(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.callbacks
            .lock()
            .event
            .as_ref()
            .map(|callback| callback.clone_ref(py))
    }

    /// The condition of an accept that failed.
    pub fn accept_error<'py>(
        slf: &Bound<'py, Self>,
        failure: &Failure,
    ) -> PyResult<Bound<'py, PyAny>> {
        let server = slf.clone().into_any().unbind();
        condition::accept_error(slf.py(), failure, server.clone_ref(slf.py()), server)
    }

    /// The accept loop has ended, or the loop does.
    pub fn end(&self) {
        self.stop();
        let dropped = std::mem::take(&mut *self.callbacks.lock());
        drop(dropped);
    }

    fn stop(&self) {
        if !self.core.is_forked() && !self.closed.swap(true, Ordering::SeqCst) {
            self.listener.close(&self.core.hub);
            self.core.nudge();
        }
    }
}

#[pymethods]
impl TcpServer {
    /// Stops listening at once; existing connections live on. Closing it again does nothing. Callable from any
    /// thread. Raises `EventLoopError` in a forked child. cl-async: `close-tcp-server`.
    pub fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.core.check_process(py)?;
        self.stop();
        Ok(())
    }

    /// Whether it stopped listening.
    #[getter]
    fn closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// The first address that it listens (or listened) on, as `getsockname()` gives it.
    #[getter]
    fn address<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        address_tuple(py, self.addresses[0])
    }

    /// All addresses that it listens (or listened) on, as `getsockname()` gives them: of a name those of both families, IPv4
    /// first. The port is the same.
    #[getter]
    fn addresses<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let addresses = self.addresses.iter();
        addresses
            .map(|address| address_tuple(py, *address))
            .collect()
    }

    /// The host of the first address, to connect to; kept after closing.
    #[getter]
    fn host(&self) -> String {
        args::address_text(&self.addresses[0])
    }

    /// The port; kept after closing.
    #[getter]
    fn port(&self) -> u16 {
        self.addresses[0].port()
    }

    /// A list of its sockets that are open now.
    #[getter]
    fn sockets(slf: &Bound<'_, Self>) -> PyResult<Vec<Py<Socket>>> {
        let core = &slf.get().core;
        core.check_process(slf.py())?;
        Ok(core.sockets_of(slf))
    }

    /// `with tcp_server(…) as server:` closes it when the block ends. In a forked child that raises `EventLoopError`, unless
    /// the block raised.
    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __exit__(
        &self,
        kind: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.stop();
        if kind.is_none() {
            return self.core.check_process(kind.py());
        }
        Ok(())
    }

    /// How many of its connections are open now.
    #[getter]
    fn connections(&self) -> usize {
        self.listener.open()
    }

    fn __repr__(&self) -> String {
        let state = if self.closed() { "closed" } else { "listening" };
        let addresses: Vec<_> = self.addresses.iter().map(SocketAddr::to_string).collect();
        format!(
            "<asynctcp.TcpServer {state} {} connections={}>",
            addresses.join(" "),
            self.connections()
        )
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        if let Some(callbacks) = self.callbacks.try_lock() {
            callbacks.visit(&visit)?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        let dropped = std::mem::take(&mut *self.callbacks.lock());
        drop(dropped);
    }
}

/// Listens for TCP connections.
///
/// Args:
///     bind_address: None or "": any address, IPv4 and IPv6; else an address, or a host name: all of its addresses, see
///         `server.addresses`.
///     port: 0 to 65535; 0: any free port, see `server.port`.
///     read_cb: `read_cb(socket, data: bytes)`, or None.
///     event_cb: `event_cb(condition)` for each connection's conditions and for accept errors, or None.
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
///     max_connections: accepting pauses at this number of open connections; None: no limit.
///     family: `socket.AF_INET` or `AF_INET6`: listens at addresses of that family only; `AF_UNSPEC`: both.
///     socket_options: a list of (level, name, value), value an int or bytes: set on the listening socket, before it binds,
///         and on each connection's (where those that only a listening socket can have are left out).
///     close_cb: `close_cb(socket, reason)` for each connection, once, after its end; see `Socket.set_callbacks`.
///
/// Returns the `TcpServer`. Raises `TcpServerBindError` if it cannot listen, `EventLoopError`, `TypeError`,
/// `ValueError`. Callbacks run in the loop's thread. cl-async: `tcp-server`.
#[pyfunction]
#[pyo3(signature = (bind_address, port, read_cb, event_cb=None, *, connect_cb=None, backlog=None, stream=false, dont_drain_read_buffer=None, reuse_port=false, fd=None,
                    read_timeout=None, write_timeout=None, allow_half_open=false, max_connections=None, close_cb=None, max_line=MaxLine::Usual, family=None, socket_options=None),
       text_signature = "(bind_address, port, read_cb, event_cb=None, *, connect_cb=None, backlog=-1, stream=False, dont_drain_read_buffer=None, \
                         reuse_port=False, fd=None, read_timeout=-1, write_timeout=-1, allow_half_open=False, \
                         max_connections=None, close_cb=None, max_line=65536, family=0, socket_options=None)")]
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
) -> PyResult<Py<TcpServer>> {
    let py = port.py();
    let callbacks = Callbacks {
        read: args::callback("read_cb", read_cb)?,
        event: args::callback("event_cb", event_cb)?,
        connect: args::callback("connect_cb", connect_cb)?,
        close: args::callback("close_cb", close_cb)?,
        write: None,
    };
    let number = args::port("port", port, 0)?;
    let options = Options {
        backlog: args::backlog("backlog", backlog)?,
        reuse_port,
        family: args::family("family", family)?,
        max_connections: args::optional_whole("max_connections", max_connections, 1)?,
        timeouts: args::timeouts(
            ("read_timeout", read_timeout),
            ("write_timeout", write_timeout),
        )?,
        socket_options: args::socket_options("socket_options", socket_options)?,
    };
    let host = args::bind_host("bind_address", bind_address)?;
    let fd = args::optional_whole("fd", fd, 0)?;
    let core = Core::current(py)?;
    let key = core.hub.new_key();
    let started = py.detach(|| {
        let sockets = match fd {
            Some(fd) => vec![bind::adopt(fd, &options)?],
            None => listen(host, number, &options)?,
        };
        let addresses = sockets
            .iter()
            .map(bind::address_of)
            .collect::<Result<_, _>>()?;
        let listener = Listener::start(&core.hub, key, sockets, options, fd.is_some())?;
        Ok((listener, addresses))
    });
    let (listener, addresses) = started.map_err(|failure: Failure| {
        core.hub.free_key(key);
        condition::bind_error(py, &failure, bind_address, number, fd)
    })?;
    let server = TcpServer {
        core: core.clone(),
        listener,
        addresses,
        closed: AtomicBool::new(false),
        callbacks: Mutex::new(callbacks),
        manners: Manners {
            half_open: allow_half_open,
            stream,
            dont_drain: dont_drain_read_buffer,
            max_line,
            ..Manners::default()
        },
    };
    let server = Py::new(py, server)?;
    core.insert(key, Entry::Server(server.clone_ref(py)));
    core.nudge();
    if let Err(error) = core.remember(server.bind(py)) {
        server.get().stop();
        return Err(error);
    }
    Ok(server)
}

fn listen(
    host: Option<HostArg>,
    port: u16,
    options: &Options,
) -> Result<Vec<socket2::Socket>, Failure> {
    match host {
        None => Ok(vec![bind::bind_any(port, options)?]),
        Some(HostArg::Literal(mut address)) if is_of(address, options.family) => {
            address.set_port(port);
            Ok(vec![bind::bind_address(address, options)?])
        }
        // The resolver refuses a literal of the other family with the right code.
        Some(HostArg::Literal(address)) => {
            bind::bind_name(&address.ip().to_string(), port, options)
        }
        Some(HostArg::Name(name)) => bind::bind_name(&name, port, options),
    }
}
