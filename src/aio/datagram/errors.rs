//! Errors of one datagram, and those that end the transport.

use crate::aio::datagram::object::DatagramTransport;
use crate::boundary::call::Method;
use crate::boundary::exception;
use pyo3::exceptions::{PyKeyboardInterrupt, PySystemExit};
use pyo3::intern;
use pyo3::prelude::*;

/// An error of one datagram.
pub(crate) fn tell_error(slf: &Bound<'_, DatagramTransport>, error: PyErr) -> PyResult<()> {
    let py = slf.py();
    slf.method(intern!(py, "_tell_error"), (exception::value(py, &error),))
        .map(drop)
}

/// An exception that ends it. Those that end a program go on instead.
#[cold]
pub(crate) fn fatal(
    slf: &Bound<'_, DatagramTransport>,
    error: PyErr,
    message: &str,
) -> PyResult<()> {
    let py = slf.py();
    if error.is_instance_of::<PySystemExit>(py) || error.is_instance_of::<PyKeyboardInterrupt>(py) {
        return Err(error);
    }
    slf.method(
        intern!(py, "_fatal_error"),
        (exception::value(py, &error), message),
    )
    .map(drop)
}
