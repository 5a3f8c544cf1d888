//! An exception of the protocol or the system ends a transport.

use crate::boundary::call::Method;
use crate::boundary::exception;
use pyo3::exceptions::{PyKeyboardInterrupt, PySystemExit};
use pyo3::intern;
use pyo3::prelude::*;

/// Those that end a program go on instead.
#[cold]
pub(crate) fn fatal(transport: &Bound<'_, PyAny>, error: PyErr, message: &str) -> PyResult<()> {
    let py = transport.py();
    if error.is_instance_of::<PySystemExit>(py) || error.is_instance_of::<PyKeyboardInterrupt>(py) {
        return Err(error);
    }
    end_by(transport, error, message)
}

/// Any of them ends it.
#[cold]
pub(crate) fn end_by(transport: &Bound<'_, PyAny>, error: PyErr, message: &str) -> PyResult<()> {
    let py = transport.py();
    transport
        .method(
            intern!(py, "_fatal_error"),
            (exception::value(py, &error), message),
        )
        .map(drop)
}
