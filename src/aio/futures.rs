//! asyncio's futures, which tasks wait for.

use crate::boundary::call::{Method, vectorcall_on};
use crate::boundary::exception;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};

/// A new one of the loop's.
pub(crate) fn make<'py>(event_loop: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    static FUTURE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let py = event_loop.py();
    let class = FUTURE.import(py, "asyncio", "Future")?;
    let names = name_of_loop(py)?;
    let arguments = [event_loop.as_ptr()];
    // SAFETY: one named argument and the tuple of its name, which live as long as the call. Called so, since one is made for each
    // wait: a dictionary of keywords would cost a quarter more.
    unsafe { vectorcall_on(class, arguments.as_ptr(), 0, names.as_ptr()) }
}

/// The only name of a call that names no more than the loop.
pub(crate) fn name_of_loop(py: Python<'_>) -> PyResult<&Bound<'_, PyTuple>> {
    static NAME: PyOnceLock<Py<PyTuple>> = PyOnceLock::new();
    let name = NAME.get_or_try_init(py, || PyTuple::new(py, ["loop"]).map(Bound::unbind))?;
    Ok(name.bind(py))
}

/// Whoever waits for it is told, unless it is done: cancelled, that is.
pub(crate) fn settle(future: &Bound<'_, PyAny>, outcome: Result<(), &PyErr>) -> PyResult<()> {
    let py = future.py();
    if future.method(intern!(py, "done"), ())?.is_truthy()? {
        return Ok(());
    }
    match outcome {
        Ok(()) => future.method(intern!(py, "set_result"), (py.None(),)),
        Err(error) => future.method(intern!(py, "set_exception"), (exception::value(py, error),)),
    }
    .map(drop)
}
