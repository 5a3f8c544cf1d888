//! An exception as the app gets it.

use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;

/// The exception with its traceback, which CPython 3.11 keeps beside it until Python code catches it.
pub fn value<'py>(py: Python<'py>, error: &PyErr) -> Bound<'py, PyBaseException> {
    error.clone_ref(py).into_value(py).into_bound(py)
}
