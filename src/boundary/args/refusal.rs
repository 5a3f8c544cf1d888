//! How an argument is refused: every message names the argument and its value.

use pyo3::exceptions::{PyException, PyTypeError, PyValueError};
use pyo3::prelude::*;

pub fn wrong_type(name: &str, wanted: &str, value: &Bound<'_, PyAny>) -> PyErr {
    let kind = value
        .get_type()
        .name()
        .map(|name| name.to_string())
        .unwrap_or_default();
    match shown(value) {
        Ok(text) => PyTypeError::new_err(format!("{name} must be {wanted}, not {kind}: {text}")),
        Err(error) => error,
    }
}

pub fn wrong_value(name: &str, wanted: &str, value: &Bound<'_, PyAny>) -> PyErr {
    match shown(value) {
        Ok(text) => PyValueError::new_err(format!("{name} must be {wanted}, not {text}")),
        Err(error) => error,
    }
}

pub fn shown(value: &Bound<'_, PyAny>) -> PyResult<String> {
    let mut text = match value.repr() {
        Ok(repr) => repr.to_string_lossy().into_owned(),
        Err(error) if is_exception(value.py(), &error) => "(no repr)".to_owned(),
        Err(error) => return Err(error),
    };
    if text.chars().count() > 80 {
        text = text.chars().take(77).chain("...".chars()).collect();
    }
    Ok(text)
}

/// Whether an error of Python code that ran on the way may be hidden by a better one: `KeyboardInterrupt` and what else is
/// no `Exception` may not.
pub fn is_exception(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PyException>(py)
}

/// `error`, or `other` where that may hide it.
pub fn hidden(py: Python<'_>, error: PyErr, other: impl FnOnce() -> PyErr) -> PyErr {
    if is_exception(py, &error) {
        other()
    } else {
        error
    }
}
