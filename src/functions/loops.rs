//! The loop of this thread, and what all loops of the process share.

use crate::boundary::args;
use crate::boundary::condition;
use crate::event_loop::open_loops;
use crate::shared::current;
use crate::shared::loop_state::LoopState;
use crate::turn::tell;
use pyo3::prelude::*;

/// Returns the loop of this thread. Raises `EventLoopError` if there is none.
#[pyfunction]
pub fn current_event_loop(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let core = LoopState::current(py)?;
    // It is open, and whoever runs it holds it.
    open_loops::object(py, &core).ok_or_else(|| condition::no_loop(py))
}

/// Sets what is called where an `event_cb` is None: `fn(condition)`, in the thread of the loop concerned; for all loops
/// of the process. None restores the library's own, `default_event_handler`. Raises `TypeError`.
#[pyfunction]
#[pyo3(signature = (r#fn))]
pub fn set_default_event_handler(r#fn: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    tell::set_default_handler(args::callback("fn", r#fn)?);
    Ok(())
}

/// `fn()` is called where a function wants a loop and the thread has none; it may enter one.
#[pyfunction]
pub fn _set_loop_finder(r#fn: Py<PyAny>) {
    current::set_finder(r#fn);
}
