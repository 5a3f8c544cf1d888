//! Signal handlers of one loop, and what they replaced.

use crate::boundary::args;
use crate::event_loop::LoopCore;
use crate::event_loop::outcome::Outcome;
use crate::event_loop::state::{Call, Core, Life, Posted};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyInt, PyTuple};
use std::sync::Arc;

/// Of Python's C module: handlers that are due run in it before it changes anything, and no Python code afterwards.
static SET: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
/// A handler that raises keeps the one of before from being put back; so often it is tried again.
const TRIES: usize = 100;

/// What Python calls, between two instructions of whatever the main thread does: the loop calls the app later.
#[pyclass(frozen, module = "asynctcp._core")]
pub struct Arrived {
    core: Arc<Core>,
    callback: Py<PyAny>,
    event_cb: Option<Py<PyAny>>,
}

#[pymethods]
impl Arrived {
    fn __call__(&self, number: &Bound<'_, PyAny>, _frame: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = number.py();
        if self.core.life() == Life::Ended || self.core.is_forked() {
            return Ok(());
        }
        let call = Call {
            function: Posted::Function(self.callback.clone_ref(py)),
            arguments: PyTuple::new(py, [number])?.unbind(),
            event_cb: self
                .event_cb
                .as_ref()
                .map(|event_cb| event_cb.clone_ref(py)),
        };
        self.core.post(|posts| posts.calls.push_back(call));
        Ok(())
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.callback)?;
        visit.call(&self.event_cb)
    }
}

/// Handles the signal in the loop; an earlier handler of the loop for it is replaced. In the main thread.
#[pyfunction]
pub fn _handle_signal(
    event_loop: &Bound<'_, LoopCore>,
    signum: &Bound<'_, PyAny>,
    callback: &Bound<'_, PyAny>,
    event_cb: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let (py, core) = (signum.py(), &event_loop.get().core);
    let arrived = Arrived {
        core: core.clone(),
        callback: args::required_callback("callback", callback)?,
        event_cb: args::callback("event_cb", event_cb)?,
    };
    let before = set(py, signum, Py::new(py, arrived)?.into_bound(py).as_any())?;
    // It took the number, so it is one.
    let number = signum.extract::<i32>()?;
    let replaced = core.keep_signal(number, before.unbind());
    if replaced.is_none() {
        core.hold(true);
    }
    Ok(())
}

/// Puts the handler of before back; nothing to do if there is none of the loop's.
#[pyfunction]
pub fn _free_signal(event_loop: &Bound<'_, LoopCore>, signum: &Bound<'_, PyAny>) -> PyResult<()> {
    let core = &event_loop.get().core;
    match signum.extract::<i32>() {
        Ok(number) => put_back(signum.py(), core, number),
        Err(_) => Ok(()),
    }
}

/// All of a loop's.
#[pyfunction]
pub fn _clear_signals(event_loop: &Bound<'_, LoopCore>) -> PyResult<()> {
    clear(event_loop.py(), &event_loop.get().core)
}

/// All of a loop's, whatever handlers raise meanwhile.
pub fn clear(py: Python<'_>, core: &Core) -> PyResult<()> {
    let mut outcome = Outcome::default();
    for number in core.kept_signals() {
        for _ in 0..TRIES {
            let done = put_back(py, core, number);
            let again = done.is_err();
            outcome.note(py, done);
            if !again {
                break;
            }
        }
    }
    outcome.result()
}

fn put_back(py: Python<'_>, core: &Core, number: i32) -> PyResult<()> {
    let Some(before) = core.kept_signal(py, number) else {
        return Ok(());
    };
    let before = before.into_bound(py);
    // None: it was not set from Python and cannot be put back.
    let before = if before.is_none() {
        PyInt::new(py, libc::SIG_DFL).into_any()
    } else {
        before
    };
    set(py, PyInt::new(py, number).as_any(), &before)?;
    drop(core.drop_signal(number));
    core.hold(false);
    Ok(())
}

fn set<'py>(
    py: Python<'py>,
    signum: &Bound<'py, PyAny>,
    handler: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    SET.import(py, "_signal", "signal")?
        .call1((signum, handler))
}
