//! From what the I/O side tells to the condition classes of `asynctcp.conditions`: the one place that maps them.

use crate::boundary::address::address_object;
use crate::boundary::call::call;
use crate::boundary::exception;
use crate::boundary::interpreter;
use crate::io::event::Refused;
use crate::io::failure::Failure;
use crate::io::failure::Try;
use crate::io::tls::failure::TlsFailure;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyModule, PyTuple};

/// What a condition is about. A trait, so that this layer need not know `Socket`.
pub trait Subject<'py> {
    /// The condition's `socket`.
    fn object(&self) -> &Bound<'py, PyAny>;

    /// The condition's `peer`.
    fn peer(&self) -> Option<String>;
}

static OPTION_ERROR: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static CONDITIONS: PyOnceLock<Py<PyModule>> = PyOnceLock::new();

fn class<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    let module =
        CONDITIONS.get_or_try_init(py, || py.import("asynctcp.conditions").map(Bound::unbind))?;
    module.bind(py).getattr(name)
}

/// `condition` with the peer's address filled in.
fn about<'py>(
    subject: &impl Subject<'py>,
    condition: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    condition.setattr("peer", subject.peer())?;
    Ok(condition)
}

/// A condition without an error, by its class's name.
pub fn info<'py>(name: &str, subject: &impl Subject<'py>) -> PyResult<Bound<'py, PyAny>> {
    let object = subject.object();
    about(subject, call(&class(object.py(), name)?, (object,))?)
}

/// Why a connection or an attempt failed.
pub fn failure<'py>(subject: &impl Subject<'py>, failure: &Failure) -> PyResult<Bound<'py, PyAny>> {
    let (object, py) = (subject.object(), subject.object().py());
    let (code, message) = (failure.code(), failure.message());
    let condition = match failure {
        Failure::Lookup(lookup) => call(
            &class(py, "DnsError")?,
            (code, message, &lookup.host, object),
        )?,
        Failure::Tls(tls) => tls_error(py, tls, Some(object))?,
        _ => call(&class(py, "condition_from_errno")?, (code, message, object))?,
    };
    if let Failure::Connect(connect) = failure {
        condition.setattr("attempts", attempts(py, &connect.tries)?)?;
    }
    about(subject, condition)
}

/// `TlsError`, or `TlsCertificateError`.
fn tls_error<'py>(
    py: Python<'py>,
    tls: &TlsFailure,
    object: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let name = if tls.certificate {
        "TlsCertificateError"
    } else {
        "TlsError"
    };
    let code = libc::EPROTO;
    call(
        &class(py, name)?,
        (code, &tls.message, object, tls.reason, tls.alert),
    )
}

/// A session that cannot begin.
pub fn tls_refused<'py>(subject: &impl Subject<'py>, failure: &TlsFailure) -> PyErr {
    let object = subject.object();
    raised(
        tls_error(object.py(), failure, Some(object))
            .and_then(|condition| about(subject, condition)),
    )
}

/// A second session over one connection.
pub fn secured_twice<'py>(subject: &impl Subject<'py>) -> PyErr {
    refused(
        subject,
        "TcpError",
        libc::EISCONN,
        "the socket speaks TLS already",
    )
}

/// A `TlsConfig` that cannot be.
pub fn tls_config_error(py: Python<'_>, message: &str) -> PyErr {
    raised(class(py, "TlsConfigError").and_then(|class| call(&class, (message,))))
}

/// What became of each attempt at a connection: (address, errno, text).
fn attempts<'py>(py: Python<'py>, tries: &[Try]) -> PyResult<Bound<'py, PyTuple>> {
    let attempts = tries
        .iter()
        .map(|one| (address_object(py, &one.address)?, one.code, &one.text).into_pyobject(py))
        .collect::<PyResult<Vec<_>>>()?;
    PyTuple::new(py, attempts)
}

/// What the system says of something that is no socket.
pub fn plain<'py>(py: Python<'py>, failure: &Failure) -> PyResult<Bound<'py, PyAny>> {
    let class = class(py, "condition_from_errno")?;
    call(&class, (failure.code(), failure.message()))
}

/// A lookup of the app's that failed.
pub fn lookup_failure<'py>(py: Python<'py>, failure: &Failure) -> PyResult<Bound<'py, PyAny>> {
    let host = match failure {
        Failure::Lookup(lookup) => lookup.host.as_str(),
        _ => "",
    };
    call(
        &class(py, "DnsError")?,
        (failure.code(), failure.message(), host),
    )
}

/// An accept that failed.
pub fn accept_error<'py>(
    py: Python<'py>,
    failure: &Failure,
    listener: Py<PyAny>,
    server: Py<PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    call(
        &class(py, "TcpAcceptError")?,
        (failure.code(), failure.message(), listener, server),
    )
}

/// A connection that a server has refused.
pub fn refusal<'py>(py: Python<'py>, refused: &Refused) -> PyResult<Bound<'py, PyAny>> {
    let failure = &refused.failure;
    let (code, message) = (failure.code(), failure.message());
    let condition = match failure {
        Failure::Proxy(fault) => call(&class(py, "ProxyError")?, (code, message, fault.reason()))?,
        Failure::Tls(tls) => tls_error(py, tls, None)?,
        _ => plain(py, failure)?,
    };
    // Unix clients have no name.
    let peer = Some(refused.peer.to_string()).filter(|peer| !peer.is_empty());
    condition.setattr("peer", peer)?;
    Ok(condition)
}

fn raised(condition: PyResult<Bound<'_, PyAny>>) -> PyErr {
    condition.map_or_else(|error| error, PyErr::from_value)
}

/// What is raised by an operation of `subject`'s.
fn refused<'py>(subject: &impl Subject<'py>, name: &str, code: i32, message: &str) -> PyErr {
    let object = subject.object();
    raised(
        class(object.py(), name)
            .and_then(|class| call(&class, (code, message, object)))
            .and_then(|condition| about(subject, condition)),
    )
}

/// An operation on a closed socket.
pub fn socket_closed<'py>(subject: &impl Subject<'py>) -> PyErr {
    refused(subject, "SocketClosed", libc::EBADF, "socket is closed")
}

/// A write after the half close.
pub fn write_is_shut<'py>(subject: &impl Subject<'py>) -> PyErr {
    refused(
        subject,
        "TcpBrokenPipe",
        libc::EPIPE,
        "the sending side was shut down",
    )
}

/// An operation that needs a connection.
pub fn not_connected<'py>(subject: &impl Subject<'py>) -> PyErr {
    refused(
        subject,
        "TcpError",
        libc::ENOTCONN,
        "the socket is not connected",
    )
}

/// A second connect.
pub fn connected_twice<'py>(subject: &impl Subject<'py>) -> PyErr {
    refused(
        subject,
        "TcpError",
        libc::EISCONN,
        "the socket is connected or connecting already",
    )
}

/// A server that cannot listen, or not by the descriptor that was given.
pub fn bind_error(
    py: Python<'_>,
    failure: &Failure,
    address: &Bound<'_, PyAny>,
    port: Option<u16>,
    fd: Option<i32>,
) -> PyErr {
    let arguments = (failure.code(), failure.message(), address, port, fd);
    raised(class(py, "TcpServerBindError").and_then(|class| call(&class, arguments)))
}

/// A socket was closed because its loop ended.
pub fn loop_ended(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    call(&class(py, "EventLoopError")?, ("the event loop has ended",))
}

/// What a callback of the app's raised. `subject`: whose callback it was, if of one.
pub fn app_error<'py>(
    callback: &str,
    function: &Bound<'py, PyAny>,
    error: &PyErr,
    subject: Option<&impl Subject<'py>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = function.py();
    let object = subject.map(Subject::object);
    let condition = call(&class(py, "TcpAppError")?, (callback, function, object))?;
    condition.setattr("__cause__", exception::value(py, error))?;
    match subject {
        Some(subject) => about(subject, condition),
        None => Ok(condition),
    }
}

/// A value that a socket option cannot have; `error` tells which.
pub fn option_error(py: Python<'_>, error: &PyErr) -> PyErr {
    let message = format!("Invalid argument: {}", error.value(py));
    let class = OPTION_ERROR.import(py, "asynctcp._option_error", "OptionError");
    raised(class.and_then(|class| call(class, (libc::EINVAL, message))))
}

/// A function needs a loop and is called outside of one.
pub fn no_loop(py: Python<'_>) -> PyErr {
    let message = if is_in_asyncio(py) {
        "the asyncio loop of this thread is not one of asynctcp's: run the program by asynctcp.aio.run(main()), \
         or have that loop drive an EventLoop by its fileno() and pump()"
    } else if is_other_thread(py) {
        "no event loop runs in this thread: pass the function to call_soon_threadsafe() of the EventLoop that runs in another one, \
         or start a loop here by start_event_loop(main)"
    } else {
        "no event loop runs in this thread: call it in a function that start_event_loop() runs, and pass that itself: \
         start_event_loop(main), not start_event_loop(main())"
    };
    loop_error(py, message)
}

/// Whether a loop of asyncio's kind runs in this thread.
fn is_in_asyncio(py: Python<'_>) -> bool {
    let running = || {
        // What was not imported runs no loop.
        interpreter::imported(py, "asyncio")?.call_method0("_get_running_loop")
    };
    running().is_ok_and(|running| !running.is_none())
}

/// Whether this is not the thread in which the program began.
fn is_other_thread(py: Python<'_>) -> bool {
    let threads = || {
        let threading = py.import("threading")?;
        let current = threading.call_method0("current_thread")?;
        Ok::<_, PyErr>(!current.is(&threading.call_method0("main_thread")?))
    };
    threads().unwrap_or(false)
}

/// A loop is needed and not there, or there and not wanted.
pub fn loop_error(py: Python<'_>, message: &str) -> PyErr {
    raised(class(py, "EventLoopError").and_then(|class| call(&class, (message,))))
}
