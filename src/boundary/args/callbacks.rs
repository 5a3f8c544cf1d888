//! Callables.

use crate::boundary::args::refusal::wrong_type;
use crate::boundary::coroutine;
use pyo3::prelude::*;
use pyo3::types::PyEllipsis;

/// A callable or None.
pub fn callback(name: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Py<PyAny>>> {
    match value {
        None => Ok(None),
        Some(value) if value.is_none() => Ok(None),
        Some(value) if value.is_callable() => {
            coroutine::refuse(name, value)?;
            Ok(Some(value.clone().unbind()))
        }
        Some(value) => Err(wrong_type(name, "callable or None", value)),
    }
}

/// A callback for `set_callbacks`; its default, `...`, keeps what there is.
pub enum Change<'py> {
    /// Not given.
    Keep,
    /// A callable or None.
    By(Bound<'py, PyAny>),
}

impl<'py> FromPyObject<'_, 'py> for Change<'py> {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        Ok(if value.is(PyEllipsis::get(value.py())) {
            Self::Keep
        } else {
            Self::By(value.to_owned())
        })
    }
}

impl Change<'_> {
    /// [`callback`] of what was given; None: nothing was.
    pub fn check(&self, name: &str) -> PyResult<Option<Option<Py<PyAny>>>> {
        match self {
            Self::Keep => Ok(None),
            Self::By(value) => callback(name, Some(value)).map(Some),
        }
    }
}

/// A callable.
pub fn required_callback(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    if !value.is_callable() {
        return Err(wrong_type(name, "callable", value));
    }
    coroutine::refuse(name, value)?;
    Ok(value.clone().unbind())
}

/// For what the Python side takes: `TypeError` unless `value` is a callable that is no coroutine function, or, where that is
/// `optional`, None.
#[pyfunction]
#[pyo3(signature = (name, value, optional=false))]
pub fn _check_callback(name: &str, value: &Bound<'_, PyAny>, optional: bool) -> PyResult<()> {
    if optional {
        callback(name, Some(value)).map(drop)
    } else {
        required_callback(name, value).map(drop)
    }
}
