//! Coroutine functions given as callbacks: nobody would await what they return, so they are refused at the call; and what
//! a callback returns is looked at, for those that one cannot tell by their looks.

use crate::boundary::callback::Which;
use crate::io::sync::Mutex;
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyCFunction, PyFunction};

static LIBRARY: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
/// `CO_COROUTINE` and `CO_ASYNC_GENERATOR` of CPython's code objects.
const ASYNC: u32 = 0x80 | 0x200;
/// Functions of one loop that are remembered as told of.
const MOST_WARNED: usize = 1000;

fn library(py: Python<'_>) -> PyResult<&Bound<'_, PyModule>> {
    let load = || {
        py.import("asynctcp._coroutines")
            .map(|module| module.unbind())
    };
    Ok(LIBRARY.get_or_try_init(py, load)?.bind(py))
}

/// `TypeError` for a coroutine function, also below `functools.partial`, as a method, or as the `__call__` of an object.
pub fn refuse(name: &str, function: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = function.py();
    let is_async = if function.is_exact_instance_of::<PyFunction>() {
        let code = function.getattr(intern!(py, "__code__"))?;
        code.getattr(intern!(py, "co_flags"))?.extract::<u32>()? & ASYNC != 0
    } else if function.is_exact_instance_of::<PyCFunction>() {
        false
    } else {
        library(py)?
            .call_method1(intern!(py, "is_async"), (function,))?
            .is_truthy()?
    };
    if !is_async {
        return Ok(());
    }
    let shown = function.repr()?;
    Err(PyTypeError::new_err(format!(
        "{name} must be a plain function, not a coroutine function, which nobody would await (use asynctcp.aio for these): \
         {}",
        shown.to_string_lossy()
    )))
}

/// The functions that returned an awaitable.
#[derive(Default)]
pub struct WarnedFunctions(Mutex<Vec<Py<PyAny>>>);

impl WarnedFunctions {
    /// Whether `code` is a new one.
    fn add(&self, code: &Bound<'_, PyAny>) -> bool {
        let mut warned = self.0.lock();
        let new = warned.len() < MOST_WARNED && !warned.iter().any(|one| one.is(code));
        if new {
            warned.push(code.clone().unbind());
        }
        new
    }
}

/// Looks at what `function` returned: an awaitable is told of in the log, once for each function.
#[inline]
pub fn warn_if_awaitable(
    warned: &WarnedFunctions,
    which: Which,
    function: &Bound<'_, PyAny>,
    result: &Bound<'_, PyAny>,
) -> PyResult<()> {
    if result.is_none() {
        return Ok(());
    }
    warn_of_awaitable(warned, which, function, result)
}

#[cold]
fn warn_of_awaitable(
    warned: &WarnedFunctions,
    which: Which,
    function: &Bound<'_, PyAny>,
    result: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let py = result.py();
    // Of the type, as `await` does: no code of the app's runs.
    if !result.get_type().hasattr(intern!(py, "__await__"))? {
        return Ok(());
    }
    let library = library(py)?;
    library.call_method1(intern!(py, "drop"), (result,))?;
    let code = library.call_method1(intern!(py, "code_of"), (function,))?;
    if warned.add(&code) {
        library.call_method1(intern!(py, "tell"), (which.name(), function, result))?;
    }
    Ok(())
}
