//! Signal handlers of one loop, and what they replaced.

use crate::boundary::args;
use crate::boundary::args::refusal::wrong_type;
use crate::event_loop::object::EventLoop;
use crate::event_loop::outcome::Outcome;
use crate::shared::loop_state::{Life, LoopState};
use crate::shared::posts::{Post, Posted};
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
    state: Arc<LoopState>,
    callback: Py<PyAny>,
    event_cb: Option<Py<PyAny>>,
}

#[pymethods]
impl Arrived {
    fn __call__(&self, number: &Bound<'_, PyAny>, _frame: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = number.py();
        if self.state.life() == Life::Ended || self.state.is_forked() {
            return Ok(());
        }
        let call = Post {
            function: Posted::Function(self.callback.clone_ref(py)),
            arguments: PyTuple::new(py, [number])?.unbind(),
            event_cb: self
                .event_cb
                .as_ref()
                .map(|event_cb| event_cb.clone_ref(py)),
        };
        self.state.post(|posts| posts.calls.push_back(call));
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
    event_loop: &Bound<'_, EventLoop>,
    signum: &Bound<'_, PyAny>,
    callback: &Bound<'_, PyAny>,
    event_cb: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let (py, state) = (signum.py(), &event_loop.get().state);
    if !signum.is_instance_of::<PyInt>() {
        return Err(wrong_type("signum", "a signal's number", signum));
    }
    let arrived = Arrived {
        state: state.clone(),
        callback: args::required_callback("callback", callback)?,
        event_cb: args::callback("event_cb", event_cb)?,
    };
    let before = set(py, signum, Py::new(py, arrived)?.into_bound(py).as_any())?;
    // It took the number, so it is one.
    let number = signum.extract::<i32>()?;
    let replaced = state.replaced.keep_signal(number, before.unbind());
    if replaced.is_none() {
        state.add_hold();
    }
    Ok(())
}

/// Puts the handler of before back; nothing to do if there is none of the loop's.
#[pyfunction]
pub fn _free_signal(event_loop: &Bound<'_, EventLoop>, signum: &Bound<'_, PyAny>) -> PyResult<()> {
    let state = &event_loop.get().state;
    match signum.extract::<i32>() {
        Ok(number) => put_back(signum.py(), state, number),
        Err(_) => Ok(()),
    }
}

/// All of a loop's.
#[pyfunction]
pub fn _clear_signals(event_loop: &Bound<'_, EventLoop>) -> PyResult<()> {
    clear(event_loop.py(), &event_loop.get().state)
}

/// All of a loop's, whatever handlers raise meanwhile.
pub fn clear(py: Python<'_>, state: &LoopState) -> PyResult<()> {
    let mut outcome = Outcome::default();
    for number in state.replaced.kept_signals() {
        for _ in 0..TRIES {
            let done = put_back(py, state, number);
            let again = done.is_err();
            outcome.note(py, done);
            if !again {
                break;
            }
        }
    }
    outcome.result()
}

fn put_back(py: Python<'_>, state: &LoopState, number: i32) -> PyResult<()> {
    let Some(before) = state.replaced.kept_signal(py, number) else {
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
    drop(state.replaced.drop_signal(number));
    state.drop_hold();
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
