//! What Python sees of a `Socket`: the calls of the app. What it holds and does is in `socket/`.
//!
//! Used with the interpreter's lock held, from any thread. What it holds of Python lives there and in the loop's
//! table, never on the I/O side: the [`Link`](crate::io::conn::link::Link) is all that the two share.
//!
//! | file of `socket/` | what it is |
//! |---|---|
//! | `object.rs`, `state.rs`, `phase.rs` | the object; what its lock guards; from unconnected to closed |
//! | `lifecycle.rs`, `ending.rs`, `reason.rs` | how it is made and ends; its end as it is told; why it ended |
//! | `write.rs`, `enable.rs`, `undelivered.rs` | what is written; stopped and going on; what waits until the app reads again |
//! | `options.rs`, `tcp_option.rs`, `os_socket.rs` | options, each as it is set; the OS socket as Python has it |
//! | `peername.rs` | the addresses of the two ends |
//! | `streams.rs`, `stream_refs.rs`, `reservation.rs`, `max_line.rs` | its streams, and what they refer to, reserve and take for a line |
//! | `start_tls.rs`, `upgrade.rs` | STARTTLS; what it holds of the session that is to come |
//! | `detach.rs`, `plain.rs` | gives the connection away; whether a callback can have it |
//! | `socket_or_stream.rs` | an argument that is either |

pub(crate) mod detach;
pub(crate) mod enable;
pub(crate) mod ending;
pub(crate) mod lifecycle;
pub(crate) mod max_line;
pub(crate) mod object;
pub(crate) mod options;
pub(crate) mod os_socket;
pub(crate) mod peername;
pub(crate) mod phase;
pub(crate) mod plain;
pub(crate) mod reason;
pub(crate) mod reservation;
pub(crate) mod socket_or_stream;
pub(crate) mod start_tls;
pub(crate) mod state;
pub(crate) mod stream_refs;
pub(crate) mod streams;
pub(crate) mod tcp_option;
pub(crate) mod undelivered;
pub(crate) mod upgrade;
pub(crate) mod write;

use crate::boundary::args::{self, Change, Data};
use crate::boundary::proxy;
use crate::boundary::tls_info;
use crate::io::conn::levels::Marks;
use crate::io::conn::link::Timeouts;
use crate::io::sys::platform;
use crate::socket::object::Socket;
use crate::socket::reservation::Reservation;
use crate::socket::state::Callbacks;
use crate::socket::tcp_option::TcpOption;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

#[pymethods]
impl Socket {
    /// Buffers `data` and sends it at the latest when the loop's current batch of callbacks ends.
    ///
    /// Args:
    ///     data: bytes-like (C-contiguous; a mutable one is copied now) or str (sent as UTF-8).
    ///     read_cb, write_cb, event_cb: replace the socket's from now on, where given.
    ///     start, end: send `data[start:end]` (counted in bytes, within the data).
    ///
    /// Raises `SocketClosed`, `TcpBrokenPipe` after `shutdown_write()`, `TypeError`, `ValueError`, and `MemoryError` if there
    /// is none to keep `data`. Callable from any thread; callbacks run in the loop's. What the network does to it comes to
    /// the `event_cb`. cl-async: `write-socket-data`.
    #[pyo3(signature = (data, *, read_cb=None, write_cb=None, event_cb=None, start=None, end=None))]
    #[allow(clippy::too_many_arguments)]
    pub fn write(
        slf: &Bound<'_, Self>,
        data: &Bound<'_, PyAny>,
        read_cb: Option<&Bound<'_, PyAny>>,
        write_cb: Option<&Bound<'_, PyAny>>,
        event_cb: Option<&Bound<'_, PyAny>>,
        start: Option<&Bound<'_, PyAny>>,
        end: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let data = Data::from("data", data)?;
        let mut bytes = data.as_slice()?;
        if start.is_some() || end.is_some() {
            bytes = args::slice(bytes, start, end)?;
        }
        if read_cb.is_none() && write_cb.is_none() && event_cb.is_none() {
            Self::check_open(slf)?;
            return Self::stage(slf, bytes, data.owner());
        }
        let given = Callbacks {
            read: args::callback("read_cb", read_cb)?,
            write: args::callback("write_cb", write_cb)?,
            event: args::callback("event_cb", event_cb)?,
            ..Callbacks::default()
        };
        // Only now: converting the data and looking at callables may run Python that closes the socket.
        Self::check_open(slf)?;
        let socket = slf.get();
        if given.write.is_some() {
            socket.link.set_wants_flushed(true);
        }
        Self::stage(slf, bytes, data.owner())?;
        drop(socket.replace_callbacks(given));
        Ok(())
    }

    /// Closes the socket: no further callback of it runs but its `close_cb`, its callbacks are let go.
    ///
    /// What was written before is still sent in the background (given up after the write timeout, else 30 seconds,
    /// without progress), unless `force`, which drops it and resets the connection. Closing it again does nothing, as
    /// with Python's files. Callable from any thread. cl-async: `close-socket`.
    #[pyo3(signature = (force=false))]
    pub fn close(slf: &Bound<'_, Self>, force: bool) -> PyResult<()> {
        slf.get().event_loop.check_process(slf.py())?;
        Self::end(slf, force);
        Ok(())
    }

    /// Replaces those callbacks that are given, from now on; None takes one away.
    ///
    /// Args:
    ///     read_cb, write_cb, event_cb: as of `tcp_connect`.
    ///     connect_cb: has no effect once the connection is established.
    ///     close_cb: `close_cb(socket, reason)` runs exactly once for a socket whose connection was begun or accepted, in
    ///         the turn after it was closed, as the last of its callbacks. `reason` is that of `close_reason`. When the
    ///         loop ends, it runs before the exit callbacks, and no loop runs any more.
    ///
    /// Raises `SocketClosed`, `TypeError`. Callable from any thread; callbacks run in the loop's.
    #[pyo3(signature = (*, read_cb=Change::Keep, write_cb=Change::Keep, event_cb=Change::Keep, connect_cb=Change::Keep,
                        close_cb=Change::Keep),
           text_signature = "($self, *, read_cb=..., write_cb=..., event_cb=..., connect_cb=..., close_cb=...)")]
    fn set_callbacks(
        slf: &Bound<'_, Self>,
        read_cb: Change<'_>,
        write_cb: Change<'_>,
        event_cb: Change<'_>,
        connect_cb: Change<'_>,
        close_cb: Change<'_>,
    ) -> PyResult<()> {
        let (read, write) = (read_cb.check("read_cb")?, write_cb.check("write_cb")?);
        let event = event_cb.check("event_cb")?;
        let connect = connect_cb.check("connect_cb")?;
        let close = close_cb.check("close_cb")?;
        Self::check_open(slf)?;
        let socket = slf.get();
        if let Some(write) = &write {
            socket.link.set_wants_flushed(write.is_some());
        }
        let replaced = {
            let mut state = socket.state.lock();
            let own = &mut state.callbacks;
            let replace = |own: &mut Option<Py<PyAny>>, new: Option<Option<Py<PyAny>>>| {
                new.map(|new| std::mem::replace(own, new))
            };
            [
                replace(&mut own.read, read),
                replace(&mut own.write, write),
                replace(&mut own.event, event),
                replace(&mut own.connect, connect),
                replace(&mut own.close, close),
            ]
        };
        drop(replaced);
        Ok(())
    }

    /// What closed it. None while it is open and if the app closed it, else the condition that closed it (`TcpEof`
    /// included), the `TcpAppError` of an exception that a callback of it raised, or the `EventLoopError` that its loop
    /// has ended.
    #[getter]
    fn close_reason<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        ending::reason(slf)
    }

    /// Whether the socket was closed, by the app or with its condition.
    #[getter]
    pub fn closed(&self) -> bool {
        self.is_closed()
    }

    /// Anything of the app's; None at first.
    #[getter]
    pub fn data(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let state = self.state.lock();
        state.data.as_ref().map(|data| data.clone_ref(py))
    }

    #[setter]
    fn set_data(&self, data: Option<Py<PyAny>>) {
        let old = std::mem::replace(&mut self.state.lock().data, data);
        drop(old);
    }

    /// The `TcpServer` it came from, or None.
    #[getter]
    fn server(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.origin.as_ref().map(|it| it.server.clone_ref(py))
    }

    /// The peer's address as `getpeername()` gives it, or None before the connection is established. With a PROXY header
    /// it is the client that the header names; see `transport_peername`.
    #[getter]
    fn peername<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(peername::ends(py, self)?.map(|(peer, _)| peer))
    }

    /// The own address as `getsockname()` gives it, or None before the connection is established.
    #[getter]
    fn sockname<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(peername::ends(py, self)?.map(|(_, own)| own))
    }

    /// The address that the connection comes from. It is the balancer's where a PROXY header names another `peername`, else
    /// the same.
    #[getter]
    fn transport_peername<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        peername::transport_peer(py, self)
    }

    /// What the PROXY header has said that the connection began with, as a `ProxyInfo`, or None.
    #[getter]
    fn proxy<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let proxied = self.link.proxied();
        proxied.map(|own| proxy::info(py, &own.header)).transpose()
    }

    /// The first `AsyncIOStream` over it, or None.
    #[getter]
    fn stream<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        streams::first(slf)
    }

    /// A stream begins to share the received bytes (if the socket does not drain), until it is let go.
    fn _attach(slf: &Bound<'_, Self>, stream: &Bound<'_, PyAny>) -> PyResult<()> {
        streams::attach(slf, stream)
    }

    /// For what a stream will hold.
    fn _reserve(&self, py: Python<'_>) -> PyResult<Reservation> {
        self.event_loop.check_process(py)?;
        Ok(Reservation::new(self.event_loop.clone(), self.link.clone()))
    }

    /// Most bytes of a line, and whether the app has said so.
    fn _line_limit(&self) -> (usize, bool) {
        let state = self.state.lock();
        let own = state.extras().map(|extras| extras.max_line);
        own.unwrap_or_default().limit()
    }

    /// `write` for streams: how many bytes it was.
    fn _write_counted(slf: &Bound<'_, Self>, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        let data = Data::from("b", data)?;
        let bytes = data.as_slice()?;
        Self::check_open(slf)?;
        Self::stage(slf, bytes, data.owner())?;
        Ok(bytes.len())
    }

    /// Bytes received so far.
    #[getter]
    fn bytes_read(&self) -> u64 {
        self.link.bytes_received()
    }

    /// Bytes taken by the kernel so far.
    #[getter]
    fn bytes_written(&self) -> u64 {
        self.link.bytes_sent()
    }

    /// Bytes written and not yet taken by the kernel.
    #[getter]
    fn write_buffer_size(&self, py: Python<'_>) -> PyResult<usize> {
        self.event_loop.check_process(py)?;
        Ok(self.link.write_buffer_size())
    }

    /// Tells when much waits to be sent.
    ///
    /// Args:
    ///     high: bytes; more than this left after a flush gives `TcpBufferFull` to the `event_cb`.
    ///     low: bytes (at most `high`); fallen to this gives `TcpBufferDrained`.
    ///
    /// Nothing is refused at the limit: the app stops writing. Raises `SocketClosed`, `TypeError`, `ValueError`. Callable from
    /// any thread.
    fn set_write_buffer_limits(
        slf: &Bound<'_, Self>,
        high: &Bound<'_, PyAny>,
        low: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let marks = Marks {
            high: args::whole("high", high, 0)?,
            low: args::whole("low", low, 0)?,
        };
        if marks.low > marks.high {
            let (low, high) = (marks.low, marks.high);
            return Err(PyValueError::new_err(format!(
                "low must be at most high, not {low} with high={high}"
            )));
        }
        Self::check_open(slf)?;
        slf.get().link.set_marks(marks);
        Ok(())
    }

    /// Stops reading and/or writing (`read`, `write`; neither: nothing happens, as in cl-async); nothing is lost, and the
    /// peer feels TCP's own backpressure.
    ///
    /// While reading is disabled no data and no end of stream are told and the read timeout stands still; while
    /// writing is disabled nothing is sent and the write timeout stands still. Raises `SocketClosed`. Callable from
    /// any thread. cl-async: `disable-socket`.
    #[pyo3(signature = (*, read=false, write=false))]
    pub fn disable(slf: &Bound<'_, Self>, read: bool, write: bool) -> PyResult<()> {
        Self::check_open(slf)?;
        enable::disable(slf.get(), read, write);
        Ok(())
    }

    /// Starts reading and/or writing again (`read`, `write`; neither: nothing happens); timeouts start afresh. Raises
    /// `SocketClosed`. Callable from any thread. cl-async: `enable-socket`.
    #[pyo3(signature = (*, read=false, write=false))]
    pub fn enable(slf: &Bound<'_, Self>, read: bool, write: bool) -> PyResult<()> {
        Self::check_open(slf)?;
        enable::enable(slf, read, write);
        Ok(())
    }

    /// Replaces both timeouts.
    ///
    /// Args:
    ///     read_sec: seconds without anything received (int or float).
    ///     write_sec: seconds in which bytes wait to be sent, the kernel takes none and the peer acknowledges none.
    ///
    /// None, zero, a negative number or infinity: none. Either gives `TcpTimeout` to the `event_cb` and closes the
    /// socket. Raises `SocketClosed`, `TypeError`, `ValueError`. Callable from any thread. cl-async: `set-socket-timeouts`.
    pub fn set_timeouts(
        slf: &Bound<'_, Self>,
        read_sec: Option<&Bound<'_, PyAny>>,
        write_sec: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let timeouts: Timeouts = args::timeouts(("read_sec", read_sec), ("write_sec", write_sec))?;
        Self::check_open(slf)?;
        let socket = slf.get();
        socket
            .link
            .change_timeouts(&socket.event_loop.hub, timeouts);
        socket.event_loop.nudge();
        Ok(())
    }

    /// Half close: a FIN after all that was written. Reading goes on; a later write raises `TcpBrokenPipe`.
    /// Raises `SocketClosed`. Callable from any thread.
    fn shutdown_write(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::check_open(slf)?;
        let socket = slf.get();
        socket.link.shutdown_write();
        socket.event_loop.mark_dirty(&socket.link);
        Ok(())
    }

    /// `(pid, uid, gid)` of the process at the other end of a pipe, as it was when it connected or began to listen
    /// (SO_PEERCRED); None of a TCP socket, and once closed.
    #[getter]
    fn peercred(&self) -> Option<(i32, u32, u32)> {
        self.link.wire()?.credentials()
    }

    /// What was agreed on by TLS, as a `TlsInfo`; None without TLS, and before its handshake is done.
    #[getter]
    fn tls<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.link
            .tls()
            .map(|info| tls_info::info(py, info))
            .transpose()
    }

    /// Speaks TLS from here on (STARTTLS; RFC 3207 and its kin). From the loop's thread only.
    ///
    /// What `read_cb` was given stays plain; what came after that must be TLS. What was written before goes out in the clear, what
    /// is written from now on waits for the handshake. A failure is a closing condition: `TlsError`.
    ///
    /// Args:
    ///     config: a `TlsConfig` of the side that this is.
    ///     server_side: whether this is the server; None: as the socket was made.
    ///     server_name: whom a server's certificate must be for; None: the config's, else the host that was connected to.
    ///     connect_cb: `connect_cb(socket)` after the handshake, in the loop's thread.
    ///
    /// Raises `TcpError` if it is not connected or speaks TLS already, `TcpBrokenPipe` after `shutdown_write()`, `SocketClosed`,
    /// `EventLoopError`, `TypeError`, `ValueError`, and `MemoryError` if there is none to keep what has come.
    #[pyo3(signature = (config, *, server_side=None, server_name=None, connect_cb=None))]
    fn start_tls(
        slf: &Bound<'_, Self>,
        config: &Bound<'_, PyAny>,
        server_side: Option<bool>,
        server_name: Option<&str>,
        connect_cb: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let connect_cb = args::callback("connect_cb", connect_cb)?;
        let session = start_tls::session(slf, config, server_side, server_name)?;
        start_tls::start(slf, session, connect_cb)
    }

    /// Gives the connection away, to a library that wants a `socket.socket`, another process, a thread that blocks.
    ///
    /// Returns `(sock, unread)`: the connection as a `socket.socket`, blocking as a new one is, and the bytes that were
    /// received and not delivered (what is in a stream was delivered). What was written is handed to the kernel first.
    /// The `Socket` is closed without touching the connection; its `close_cb` gets None.
    ///
    /// Raises `BlockingIOError` if the kernel does not take all that was written (then nothing has happened: try again in a
    /// `write_cb`), `TcpError` (`ENOTCONN`) before the connection is established or once it is broken, `SocketClosed`,
    /// `OSError` where there is no descriptor for it, and `EventLoopError` anywhere but in a callback of the loop.
    /// `MemoryError` if there is none for the bytes, which are lost: the connection is closed then.
    fn detach<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyBytes>)> {
        detach::detach(slf)
    }

    /// The descriptor's number; -1 before the connection exists. Raises `SocketClosed`.
    fn fileno(slf: &Bound<'_, Self>) -> PyResult<i64> {
        Self::check_open(slf)?;
        Ok(slf
            .get()
            .link
            .wire()
            .map_or(-1, |wire| platform::number(wire.socket()) as i64))
    }

    /// The OS socket, as a `socket.socket` over the same connection: options, addresses and the rest of its calls.
    ///
    /// The same object each time; None before a connection exists. It does not block, and refuses to. It is closed with
    /// this socket. Callable from any thread. cl-async: `socket-c`.
    #[getter]
    pub fn c(slf: &Bound<'_, Self>) -> PyResult<Option<Py<PyAny>>> {
        slf.get().event_loop.check_process(slf.py())?;
        os_socket::get(slf)
    }

    /// Whether small segments are sent at once: with `on` (TCP_NODELAY; the default) they are. Before the connection
    /// exists it is remembered. Raises `SocketClosed`, `OSError`. Callable from any thread.
    #[pyo3(signature = (on=true))]
    fn set_nodelay(slf: &Bound<'_, Self>, on: bool) -> PyResult<()> {
        Self::check_open(slf)?;
        Ok(options::set(slf.get(), TcpOption::NoDelay(on))?)
    }

    /// Switches keep-alive probes of an idle connection on or off.
    ///
    /// Args:
    ///     on: whether to send them.
    ///     idle: seconds before the first (1 to 32767; None: the system's).
    ///     interval: seconds between two (1 to 32767).
    ///     count: unanswered probes after which the connection is given up (1 to 127).
    ///
    /// Before the connection exists it is remembered; what the system refuses then comes to the `event_cb` and closes the
    /// socket. Raises `SocketClosed`, `TypeError`, `ValueError` (which is also an `OSError` with `EINVAL`), `OSError`.
    /// Callable from any thread.
    #[pyo3(signature = (on, *, idle=None, interval=None, count=None))]
    fn set_keepalive(
        slf: &Bound<'_, Self>,
        on: bool,
        idle: Option<&Bound<'_, PyAny>>,
        interval: Option<&Bound<'_, PyAny>>,
        count: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let times = args::keepalive(idle, interval, count)?;
        Self::check_open(slf)?;
        Ok(options::set(slf.get(), TcpOption::Keepalive(on, times))?)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let phase = self.state.lock().phase.name();
        match self.link.addresses() {
            Some((peer, own)) => format!("<asynctcp.Socket {phase} {own} -> {peer}>"),
            None => match self.peer_text(py) {
                Some(target) => format!("<asynctcp.Socket {phase} -> {target}>"),
                None => format!("<asynctcp.Socket {phase}>"),
            },
        }
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(self.origin.as_ref().map(|it| &it.server))?;
        self.state
            .try_lock()
            .map_or(Ok(()), |state| state.visit(&visit))
    }

    fn __clear__(&self) {
        let dropped = {
            let mut state = self.state.lock();
            (
                std::mem::take(&mut state.callbacks),
                state.take_extras(),
                state.data.take(),
                state.ending.take(),
            )
        };
        drop(dropped);
    }
}
