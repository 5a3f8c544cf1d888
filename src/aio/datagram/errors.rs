//! Errors of one datagram.

use crate::aio::datagram::object::DatagramTransport;
use crate::boundary::call::Method;
use crate::boundary::exception;
use pyo3::intern;
use pyo3::prelude::*;

/// An error of one datagram.
pub(crate) fn tell_error(slf: &Bound<'_, DatagramTransport>, error: PyErr) -> PyResult<()> {
    let py = slf.py();
    slf.method(intern!(py, "_tell_error"), (exception::value(py, &error),))
        .map(drop)
}
