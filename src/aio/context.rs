//! Running in a `contextvars.Context`.

use pyo3::ffi;
use pyo3::prelude::*;

/// A copy of the one that is entered.
pub(crate) fn copy(py: Python<'_>) -> PyResult<Py<PyAny>> {
    // SAFETY: the interpreter's lock is held; it returns a new reference, or null with an exception set.
    let context = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyContext_CopyCurrent())? };
    Ok(context.unbind())
}

/// Runs `f` in it.
#[inline]
pub(crate) fn run_in(context: &Bound<'_, PyAny>, f: impl FnOnce() -> PyResult<()>) -> PyResult<()> {
    // SAFETY: it is a context, which the caller keeps; what is entered is left.
    if unsafe { ffi::PyContext_Enter(context.as_ptr()) } < 0 {
        return Err(PyErr::fetch(context.py()));
    }
    let result = f();
    // SAFETY: see above. It was entered here, so it can be left.
    unsafe { ffi::PyContext_Exit(context.as_ptr()) };
    result
}
