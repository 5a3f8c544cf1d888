//! Which interpreter of the process may import the module: the main one; and what it has imported.
//!
//! Classes, condition types and handlers are kept in statics, which all interpreters of a process share: those of a
//! sub-interpreter would outlive it there.

use pyo3::exceptions::PyImportError;
use pyo3::ffi;
use pyo3::prelude::*;

/// A module, if anybody has imported it.
pub fn imported<'py>(py: Python<'py>, module: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("sys")?.getattr("modules")?.get_item(module)
}

/// `ImportError` in a sub-interpreter. To be called before anything of Python's is kept.
pub fn check_main() -> PyResult<()> {
    // SAFETY: a module is initialised with the interpreter's lock held, so there is a current interpreter; both calls only return pointers.
    let is_main = unsafe { ffi::PyInterpreterState_Get() == ffi::PyInterpreterState_Main() };
    if is_main {
        return Ok(());
    }
    Err(PyImportError::new_err(
        "asynctcp cannot be imported in a sub-interpreter, only in the main interpreter of a process",
    ))
}
