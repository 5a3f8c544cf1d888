//! What a program gives to be sent, and to receive into.

use crate::boundary::call::call;
use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView};

/// Its bytes, which do not change any more. `refusal`: what is said of a type that has none, by its name.
pub(crate) fn bytes_of<'py>(
    data: &Bound<'py, PyAny>,
    refusal: impl FnOnce(&str) -> String,
) -> PyResult<Bound<'py, PyBytes>> {
    if let Ok(bytes) = data.cast_exact::<PyBytes>() {
        return Ok(bytes.clone());
    }
    if data.is_instance_of::<PyBytes>()
        || data.is_instance_of::<PyByteArray>()
        || data.is_instance_of::<PyMemoryView>()
    {
        let class = data.py().get_type::<PyBytes>();
        return Ok(call(&class, (data,))?.cast_into::<PyBytes>()?);
    }
    let name = data.get_type().name()?;
    Err(PyTypeError::new_err(refusal(&name.to_string_lossy())))
}

/// The bytes of each item, of which there may be none; nothing of a list with a bad one is to be sent. As where asyncio joins them, what
/// has a buffer has bytes.
pub(crate) fn lines_of<'py>(lines: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyBytes>>> {
    let lines = lines.try_iter()?.enumerate();
    lines
        .map(|(number, line)| line_of(number, &line?))
        .collect()
}

fn line_of<'py>(number: usize, line: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    if let Ok(bytes) = line.cast_exact::<PyBytes>() {
        return Ok(bytes.clone());
    }
    let py = line.py();
    // SAFETY: the object is alive; what is made is a new reference to a bytes object, or null with an exception set.
    unsafe {
        if ffi::PyObject_CheckBuffer(line.as_ptr()) != 0 {
            let made = ffi::PyBytes_FromObject(line.as_ptr());
            return Ok(Bound::from_owned_ptr_or_err(py, made)?.cast_into_unchecked());
        }
    }
    let name = line.get_type().name()?;
    Err(PyTypeError::new_err(if py.version_info() >= (3, 12) {
        format!("memoryview: a bytes-like object is required, not '{name}'")
    } else {
        format!("sequence item {number}: expected a bytes-like object, {name} found")
    }))
}

/// A protocol's buffer, as bytes whatever it holds. TypeError where it cannot be written to.
pub(crate) fn room_in(buffer: &Bound<'_, PyAny>) -> PyResult<PyUntypedBuffer> {
    let buffer = PyUntypedBuffer::get(buffer)?;
    if buffer.readonly() || !buffer.is_c_contiguous() {
        let message = "get_buffer() returned a buffer that cannot be written to";
        return Err(PyTypeError::new_err(message));
    }
    Ok(buffer)
}
