//! What becomes of an exception that a function of the app's raised.

use crate::boundary::call::call;
use crate::boundary::call_app::call_app;
use crate::boundary::callback::Which;
use crate::boundary::condition;
use crate::boundary::coroutine::WarnedFunctions;
use crate::boundary::interpreter;
use crate::objects::ends::Ends;
use crate::shared::closings::Closing;
use crate::socket::ending;
use crate::socket::object::Socket;
use crate::socket::reason::Reason;
use pyo3::exceptions::{PyException, PyKeyboardInterrupt, PySystemExit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

static LOG: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// What the app said about exceptions of its callbacks.
pub enum Catch {
    /// They end the loop.
    Nothing,
    /// They go to the `event_cb` concerned (or, with false, to the log), and the loop goes on.
    All {
        /// `send_errors_to_event_cb`.
        to_event_cb: bool,
    },
    /// They go to this function.
    With(Py<PyAny>),
}

/// Whose function it is.
#[derive(Clone, Copy)]
pub enum Whose<'a, 'py> {
    /// A socket's, which an exception closes.
    Socket(&'a Bound<'py, Socket>),
    /// That of something with this `event_cb`.
    Other(Option<&'a Py<PyAny>>),
    /// That of something that an exception ends.
    Ending(&'a dyn Ends),
}

impl<'a, 'py> Whose<'a, 'py> {
    fn socket(self) -> Option<&'a Bound<'py, Socket>> {
        match self {
            Self::Socket(socket) => Some(socket),
            Self::Other(_) | Self::Ending(_) => None,
        }
    }

    fn event_cb(self, py: Python<'_>) -> Option<Py<PyAny>> {
        match self {
            Self::Socket(socket) => socket.get().event_cb(py),
            Self::Other(event_cb) => event_cb.map(|event_cb| event_cb.clone_ref(py)),
            Self::Ending(it) => it.event_cb(py),
        }
    }
}

impl Catch {
    /// An exception that `function` raised. An error of this one ends the loop.
    pub fn take<'py>(
        &self,
        warned_functions: &WarnedFunctions,
        error: PyErr,
        which: Which,
        function: &Bound<'py, PyAny>,
        whose: Whose<'_, 'py>,
    ) -> PyResult<()> {
        let py = function.py();
        if ends_the_loop(py, &error) || matches!(self, Self::Nothing) {
            return Err(error);
        }
        let socket = whose.socket();
        let told = condition::app_error(which.name(), function, &error, socket)?;
        if let Some(socket) = socket {
            ending::begin(socket.get(), Reason::AppError(told.clone().unbind()));
        }
        let outcome = match self {
            Self::With(function) => {
                let (function, error) = (function.bind(py), error.into_value(py));
                call_app(warned_functions, Which::Catch, function, (error,), Err)
            }
            Self::All { to_event_cb } if *to_event_cb && which.may_go_to_event_cb() => {
                // Taken last: another thread may have closed the socket while the condition was made.
                match whose.event_cb(py) {
                    Some(event_cb) => hand_over(warned_functions, event_cb.bind(py), &told, socket),
                    None => log(&told),
                }
            }
            Self::All { .. } | Self::Nothing => log(&told),
        };
        // Whatever that raised: a loop that is pumped goes on.
        match whose {
            Whose::Socket(socket) => Socket::end(socket, false),
            Whose::Ending(it) => it.end(),
            Whose::Other(_) => {}
        }
        outcome
    }
}

/// `event_cb(told)`. What it raises is logged, or ends the loop.
fn hand_over<'py>(
    warned_functions: &WarnedFunctions,
    event_cb: &Bound<'py, PyAny>,
    told: &Bound<'py, PyAny>,
    socket: Option<&Bound<'py, Socket>>,
) -> PyResult<()> {
    call_app(
        warned_functions,
        Which::Event,
        event_cb,
        (told,),
        |second| log_or_end(Which::Event, event_cb, second, socket),
    )
}

/// Logs an exception that `function` raised, unless it ends the loop.
fn log_or_end<'py>(
    which: Which,
    function: &Bound<'py, PyAny>,
    error: PyErr,
    socket: Option<&Bound<'py, Socket>>,
) -> PyResult<()> {
    let py = function.py();
    if ends_the_loop(py, &error) {
        return Err(error);
    }
    log(&condition::app_error(
        which.name(),
        function,
        &error,
        socket,
    )?)
}

/// Runs a `close_cb` where there is no loop any more. `Exception`s are logged, whatever the app said of them: what ended the
/// loop must not be lost.
pub fn run_last(py: Python<'_>, closing: &Closing) -> PyResult<()> {
    let close_cb = closing.close_cb.bind(py);
    let socket = closing.socket.bind(py).cast::<Socket>()?;
    let warned = &socket.get().event_loop.warned_functions;
    let arguments = (socket, ending::reason_for(socket, closing)?);
    call_app(warned, Which::Close, close_cb, arguments, |error| {
        log_or_end(Which::Close, close_cb, error, Some(socket))
    })
}

/// Whether `error` ends the loop, whatever the app said of exceptions. That of a cancelled future does not: a callback that looks
/// at one has met a bug.
fn ends_the_loop(py: Python<'_>, error: &PyErr) -> bool {
    (!error.is_instance_of::<PyException>(py) && !is_cancelled(py, error))
        || error.is_instance_of::<PyKeyboardInterrupt>(py)
        || error.is_instance_of::<PySystemExit>(py)
}

/// Whether it is asyncio's `CancelledError`, which is no `Exception`.
fn is_cancelled(py: Python<'_>, error: &PyErr) -> bool {
    // What was not imported has raised nothing, and Ctrl-C must not wait for an import.
    let class = interpreter::imported(py, "asyncio.exceptions")
        .and_then(|module| module.getattr("CancelledError"));
    class.is_ok_and(|class| error.matches(py, class).unwrap_or(false))
}

/// Logs an exception of the app's with its traceback.
fn log(told: &Bound<'_, PyAny>) -> PyResult<()> {
    let log = LOG.import(told.py(), "asynctcp._handlers", "log_app_error")?;
    call(log, (told,)).map(drop)
}

/// Logs an exception of an exit callback.
pub fn log_plain(py: Python<'_>, error: PyErr) -> PyResult<()> {
    log(&error.into_value(py).into_bound(py).into_any())
}
