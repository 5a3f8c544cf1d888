//! Sockets made elsewhere: a `socket.socket` to connect, and connections to take over.

use crate::boundary::args;
use crate::boundary::functions::{callbacks, handle, make};
use crate::socket::Socket;
use crate::socket::max_line::MaxLine;
use crate::socket::state::Manners;
use crate::socket::streams;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use socket2::{Domain, Socket as OwnedSocket};
use std::os::fd::FromRawFd;

static LIBRARY: PyOnceLock<Py<PyModule>> = PyOnceLock::new();

fn library(py: Python<'_>) -> PyResult<&Bound<'_, PyModule>> {
    let load = || {
        py.import("asynctcp._os_socket")
            .map(|module| module.unbind())
    };
    Ok(LIBRARY.get_or_try_init(py, load)?.bind(py))
}

/// A `socket.socket` of the app's that is to be connected, checked and not yet taken; with its family.
pub struct ToConnect<'py> {
    socket: Bound<'py, PyAny>,
    /// AF_INET or AF_INET6.
    pub family: i32,
}

impl<'py> ToConnect<'py> {
    /// Checks `sock`; None: none was given.
    pub fn from(sock: Option<&Bound<'py, PyAny>>) -> PyResult<Option<Self>> {
        let Some(socket) = sock.filter(|sock| !sock.is_none()) else {
            return Ok(None);
        };
        let py = socket.py();
        let family = library(py)?
            .call_method1(intern!(py, "check_unconnected"), (socket,))?
            .extract()?;
        Ok(Some(Self {
            socket: socket.clone(),
            family,
        }))
    }

    /// Takes its descriptor.
    pub fn take(&self) -> PyResult<OwnedSocket> {
        take(&self.socket)
    }
}

/// The family to connect with: that of the app's socket, if it gave one.
pub fn family_of(family: Option<i32>, given: Option<&ToConnect<'_>>) -> PyResult<Option<i32>> {
    match (family, given) {
        (Some(family), Some(given)) if family != given.family => {
            let message = format!(
                "family must be that of sock, {}, not {family}",
                given.family
            );
            Err(PyValueError::new_err(message))
        }
        (_, Some(given)) => Ok(Some(given.family)),
        (family, None) => Ok(family),
    }
}

/// Takes the descriptor of a `socket.socket`, which is closed for the app from now on.
fn take(socket: &Bound<'_, PyAny>) -> PyResult<OwnedSocket> {
    let py = socket.py();
    socket.call_method1(intern!(py, "setblocking"), (false,))?;
    let fd: i32 = socket.call_method0(intern!(py, "detach"))?.extract()?;
    // SAFETY: `detach` gave it up: nobody else owns it. `setblocking` has just seen that it is open.
    Ok(unsafe { OwnedSocket::from_raw_fd(fd) })
}

/// Takes over a connection that was made elsewhere: by inetd, by systemd with `Accept=yes`, as one of a pair.
///
/// Args:
///     sock_or_fd: a connected stream socket (TCP or Unix), or the number of its descriptor. The connection belongs to the
///         `Socket` afterwards (the `detach()` of a `socket.socket` is called), unless this call raises.
///     read_cb: `read_cb(socket, data: bytes)`, or None.
///     event_cb: `event_cb(condition)`; None: the default event handler.
///     data: bytes-like or str, sent before anything written later.
///     connect_cb: `connect_cb(socket)`, in a coming turn of the loop, as the first callback.
///     read_timeout, write_timeout: seconds; None, 0, negative or infinite: none.
///     stream, write_cb, dont_drain_read_buffer, allow_half_open, close_cb, max_line: as of `tcp_connect`.
///
/// Returns the `Socket`, or the `AsyncIOStream` with `stream=True`. Raises `OSError` for what is not open or not connected,
/// `ValueError` for a socket of another kind, `TypeError`, `EventLoopError`. Callbacks run in the loop's thread.
#[pyfunction]
#[pyo3(signature = (sock_or_fd, read_cb, event_cb=None, *, data=None, stream=false, connect_cb=None, write_cb=None,
                    read_timeout=None, write_timeout=None, dont_drain_read_buffer=None, allow_half_open=false,
                    close_cb=None, max_line=MaxLine::Usual),
       text_signature = "(sock_or_fd, read_cb, event_cb=None, *, data=None, stream=False, connect_cb=None, \
                         write_cb=None, read_timeout=-1, write_timeout=-1, dont_drain_read_buffer=None, \
                         allow_half_open=False, close_cb=None, max_line=65536)")]
#[allow(clippy::too_many_arguments)]
pub fn adopt_tcp_socket(
    sock_or_fd: &Bound<'_, PyAny>,
    read_cb: Option<&Bound<'_, PyAny>>,
    event_cb: Option<&Bound<'_, PyAny>>,
    data: Option<&Bound<'_, PyAny>>,
    stream: bool,
    connect_cb: Option<&Bound<'_, PyAny>>,
    write_cb: Option<&Bound<'_, PyAny>>,
    read_timeout: Option<&Bound<'_, PyAny>>,
    write_timeout: Option<&Bound<'_, PyAny>>,
    dont_drain_read_buffer: Option<bool>,
    allow_half_open: bool,
    close_cb: Option<&Bound<'_, PyAny>>,
    max_line: MaxLine,
) -> PyResult<Py<PyAny>> {
    let py = sock_or_fd.py();
    let callbacks = callbacks(read_cb, event_cb, connect_cb, write_cb, close_cb)?;
    let timeouts = args::timeouts(
        ("read_timeout", read_timeout),
        ("write_timeout", write_timeout),
    )?;
    let manners = Manners {
        half_open: allow_half_open,
        stream,
        dont_drain: dont_drain_read_buffer,
        max_line,
        ..Manners::default()
    };
    let (theirs, names) = library(py)?
        .call_method1(intern!(py, "connected"), (sock_or_fd,))?
        .extract::<(Bound<'_, PyAny>, Option<(Py<PyAny>, Py<PyAny>)>)>()?;
    let taken = make(py, callbacks, timeouts, manners, data).and_then(|socket| {
        let taken = take(&theirs)?;
        Ok((socket, taken))
    });
    let (socket, taken) = match taken {
        Ok(taken) => taken,
        Err(error) => {
            // A number stays its caller's.
            library(py)?.call_method1(intern!(py, "give_back"), (sock_or_fd, theirs))?;
            return Err(error);
        }
    };
    if taken.domain().is_ok_and(|domain| domain != Domain::UNIX) {
        let _ = taken.set_tcp_nodelay(true);
    }
    socket.get().state.lock().set_names(names);
    let made = handle(&socket, stream)?;
    streams::let_go(&socket);
    Socket::take_over(&socket, taken)?;
    Ok(made)
}
