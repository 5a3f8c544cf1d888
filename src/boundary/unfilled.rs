//! A `bytes` object that is made before its bytes are there, so that they are received where they stay.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

// SAFETY: as CPython's headers declare it.
unsafe extern "C" {
    /// Not among the functions that PyO3 declares for all versions.
    fn _PyBytes_Resize(object: *mut *mut ffi::PyObject, size: ffi::Py_ssize_t) -> std::ffi::c_int;
}

/// An object of `size` bytes, which are not initialised: nobody else may see it before they are.
pub fn make(py: Python<'_>, size: usize) -> PyResult<Bound<'_, PyBytes>> {
    // SAFETY: a null pointer makes an object of this size that is not initialised; the call returns a new reference or null
    // with an exception set.
    unsafe {
        let made = ffi::PyBytes_FromStringAndSize(std::ptr::null(), size as ffi::Py_ssize_t);
        Ok(Bound::from_owned_ptr_or_err(py, made)?.cast_into_unchecked())
    }
}

/// Where its bytes are to go.
pub fn start(object: &Bound<'_, PyBytes>) -> *mut u8 {
    // SAFETY: it is a bytes object.
    unsafe { ffi::PyBytes_AsString(object.as_ptr()).cast() }
}

/// The object with the first `count` of its bytes, which are initialised. Nobody else has seen it.
pub fn filled(object: Bound<'_, PyBytes>, count: usize) -> PyResult<Bound<'_, PyBytes>> {
    let py = object.py();
    let mut shrunk = object.into_ptr();
    // SAFETY: nobody else has seen the object, which resizing asks for. On failure the call lets go of it and sets the pointer
    // to null and an exception.
    unsafe {
        _PyBytes_Resize(&raw mut shrunk, count as ffi::Py_ssize_t);
        Ok(Bound::from_owned_ptr_or_err(py, shrunk)?.cast_into_unchecked())
    }
}

/// A `bytes` object with a copy of them. MemoryError where there is no room for it.
pub fn copy<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    // SAFETY: the bytes are copied; the call returns a new reference or null with an exception set.
    unsafe {
        let made =
            ffi::PyBytes_FromStringAndSize(bytes.as_ptr().cast(), bytes.len() as ffi::Py_ssize_t);
        Ok(Bound::from_owned_ptr_or_err(py, made)?.cast_into_unchecked())
    }
}
