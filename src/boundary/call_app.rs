//! Calls a function of the app's, and looks at what it returns.

use crate::boundary::call::{Arguments, call};
use crate::boundary::callback::Which;
use crate::boundary::coroutine::{WarnedFunctions, warn_if_awaitable};
use pyo3::prelude::*;

/// `function(*arguments)`. What it raises goes to `raised`; an awaitable that it returns is told of in the log, once for each
/// function that `warned` does not have.
#[inline]
pub fn call_app<'py>(
    warned: &WarnedFunctions,
    which: Which,
    function: &Bound<'py, PyAny>,
    arguments: impl Arguments<'py>,
    raised: impl FnOnce(PyErr) -> PyResult<()>,
) -> PyResult<()> {
    match call(function, arguments) {
        Ok(result) => warn_if_awaitable(warned, which, function, &result),
        Err(error) => raised(error),
    }
}
