//! `adopt_tcp_socket`: a connection that was made elsewhere.

use crate::boundary::args;
use crate::functions::app_socket::{library, take};
use crate::functions::new_socket::{callbacks, handle, make};
use crate::socket::max_line::MaxLine;
use crate::socket::object::Socket;
use crate::socket::state::Settings;
use crate::socket::streams;
use pyo3::intern;
use pyo3::prelude::*;

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
    let settings = Settings {
        half_open: allow_half_open,
        stream,
        dont_drain: dont_drain_read_buffer,
        max_line,
        ..Settings::default()
    };
    let (theirs, names) = library(py)?
        .call_method1(intern!(py, "connected"), (sock_or_fd,))?
        .extract::<(Bound<'_, PyAny>, Option<(Py<PyAny>, Py<PyAny>)>)>()?;
    let taken = make(py, callbacks, timeouts, settings, data).and_then(|socket| {
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
    socket.get().state.lock().set_names(names);
    let made = handle(&socket, stream)?;
    streams::release_own(&socket);
    Socket::take_over(&socket, taken)?;
    Ok(made)
}
