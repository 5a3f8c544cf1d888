//! What asyncio's tasks expect of an object that a coroutine awaits: PEP 492's iterator, and a future that says that it is waited for.

use pyo3::exceptions::{PyRuntimeError, PyRuntimeWarning, PyStopIteration};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use std::ffi::CString;

/// `await` has this as its value: `__next__` returns None after it. Without it, the value is None.
pub(crate) fn finish(value: &Bound<'_, PyAny>) {
    // SAFETY: both are objects; the exception is set, and not an instance of it made, which costs as much as all else in a read
    // of what is there. It must not be a tuple or an exception (those would be taken apart): bytes they are.
    unsafe { ffi::PyErr_SetObject(ffi::PyExc_StopIteration, value.as_ptr()) };
}

/// The task that is to wait for a future takes it from `__next__` only with this mark.
pub(crate) fn mark(future: &Bound<'_, PyAny>) -> PyResult<()> {
    future.setattr(intern!(future.py(), "_asyncio_future_blocking"), true)
}

/// `send(value)` of an iterator that `next` is the `__next__` of: only None can be sent, and its end is an exception.
pub(crate) fn send(
    value: &Bound<'_, PyAny>,
    next: PyResult<Option<Py<PyAny>>>,
) -> PyResult<Py<PyAny>> {
    let py = value.py();
    match next? {
        Some(waited_for) => Ok(waited_for),
        None => Err(PyErr::take(py).unwrap_or_else(|| PyStopIteration::new_err(()))),
    }
}

/// The exception that `throw(kind, value, traceback)` is called with, of which all but the first are optional.
pub(crate) fn thrown(kind: &Bound<'_, PyAny>, value: Option<&Bound<'_, PyAny>>) -> PyErr {
    PyErr::from_value(value.unwrap_or(kind).clone())
}

/// It was awaited before.
#[cold]
pub(crate) fn is_over() -> PyErr {
    PyRuntimeError::new_err("cannot reuse already awaited coroutine")
}

/// As Python does for its own: an `await` was forgotten.
#[cold]
pub(crate) fn warn_never_awaited(py: Python<'_>, name: &str) {
    let Ok(message) = CString::new(format!("coroutine '{name}' was never awaited")) else {
        return;
    };
    let class = py.get_type::<PyRuntimeWarning>();
    if let Err(error) = PyErr::warn(py, &class, &message, 1) {
        error.write_unraisable(py, None);
    }
}
