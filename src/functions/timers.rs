//! `delay` and `interval`.

use crate::boundary::args;
use crate::boundary::args::refusal::wrong_type;
use crate::objects::timer::Timer;
use crate::shared::loop_state::LoopState;
use pyo3::prelude::*;

/// Runs `callback()` once, `time` seconds from now, in the loop's thread.
///
/// Args:
///     callback: a callable without arguments.
///     time: seconds (int or float, not negative); None or 0: in the next turn of the loop, first in, first out.
///     event_cb: where an exception of the callback goes with `catch_app_errors=True`.
///
/// Returns the `Timer`. Raises `EventLoopError` without a loop, `TypeError` or `ValueError` for a bad argument.
/// cl-async: `delay`.
#[pyfunction]
#[pyo3(signature = (callback, time=None, *, event_cb=None))]
pub fn delay(
    callback: &Bound<'_, PyAny>,
    time: Option<&Bound<'_, PyAny>>,
    event_cb: Option<&Bound<'_, PyAny>>,
) -> PyResult<Py<Timer>> {
    let py = callback.py();
    let event_loop = LoopState::current(py)?;
    let event_cb = args::callback("event_cb", event_cb)?;
    let after = args::delay("time", time)?;
    Timer::start(
        py,
        event_loop,
        args::required_callback("callback", callback)?,
        event_cb,
        after,
        None,
    )
}

/// Runs `callback()` every `time` seconds, in the loop's thread, without drift.
///
/// Args:
///     callback: a callable without arguments.
///     time: seconds between two runs (int or float, more than 0). Beats missed by a busy loop are left out.
///     event_cb: where an exception of the callback goes with `catch_app_errors=True`; the interval goes on.
///
/// Returns the `Timer`; calling it, `remove_interval(it)` or its `cancel()` ends it. Raises `EventLoopError` without
/// a loop, `TypeError` or `ValueError` for a bad argument. cl-async: `interval`.
#[pyfunction]
#[pyo3(signature = (callback, time, *, event_cb=None))]
pub fn interval(
    callback: &Bound<'_, PyAny>,
    time: &Bound<'_, PyAny>,
    event_cb: Option<&Bound<'_, PyAny>>,
) -> PyResult<Py<Timer>> {
    let py = callback.py();
    let event_loop = LoopState::current(py)?;
    let event_cb = args::callback("event_cb", event_cb)?;
    let every = args::period("time", time)?;
    let callback = args::required_callback("callback", callback)?;
    Timer::start(py, event_loop, callback, event_cb, every, Some(every))
}

/// `timer.cancel()`: the callback does not run (again). Cancelling again does nothing. cl-async: `remove-interval`.
#[pyfunction]
pub fn remove_interval(timer: &Bound<'_, PyAny>) -> PyResult<()> {
    let wrong = |_| wrong_type("timer", "a Timer", timer);
    Timer::cancel(timer.cast::<Timer>().map_err(wrong)?)
}
