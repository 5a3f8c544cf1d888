//! What a program gives to be sent, and to receive into.

use crate::boundary::call::call;
use crate::boundary::memory;
use pyo3::exceptions::{PyBufferError, PyTypeError};
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
    let mut all = Vec::new();
    for (number, line) in lines.try_iter()?.enumerate() {
        let line = line_of(number, &line?)?;
        all.try_reserve(1).map_err(memory::error)?;
        all.push(line);
    }
    Ok(all)
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

/// A protocol's buffer, as bytes whatever it holds; it stays where it is as long as this is there.
pub(crate) struct Room(Box<ffi::Py_buffer>);

impl Room {
    /// TypeError where it cannot be written to, or lies in pieces.
    pub(crate) fn of(buffer: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut view = Box::new(ffi::Py_buffer::new());
        // SAFETY: the object is alive, and the view stays where it is.
        match unsafe {
            ffi::PyObject_GetBuffer(buffer.as_ptr(), &raw mut *view, ffi::PyBUF_WRITABLE)
        } {
            0 => Ok(Self(view)),
            _ => Err(not_to_be_written_to(buffer, PyErr::fetch(buffer.py()))),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len.unsigned_abs()
    }

    /// # Safety
    ///
    /// Nobody else looks at the bytes meanwhile: no Python code runs.
    pub(crate) unsafe fn bytes(&mut self) -> &mut [u8] {
        if self.len() == 0 {
            return &mut [];
        }
        // SAFETY: the export says that they are there, and that they may be written to; the caller that nobody else does.
        unsafe { std::slice::from_raw_parts_mut(self.0.buf.cast(), self.len()) }
    }
}

/// The class is that of asyncio's error, which a socket's `recv_into()` raises.
#[cold]
fn not_to_be_written_to(buffer: &Bound<'_, PyAny>, error: PyErr) -> PyErr {
    let py = buffer.py();
    if !error.is_instance_of::<PyBufferError>(py) && !error.is_instance_of::<PyTypeError>(py) {
        return error;
    }
    let message = "get_buffer() returned what is no contiguous buffer that can be written to";
    let made = PyTypeError::new_err(message);
    made.set_cause(py, Some(error));
    made
}

impl Drop for Room {
    fn drop(&mut self) {
        // SAFETY: whoever has it has the interpreter's lock, as all that has to do with a protocol.
        unsafe { ffi::PyBuffer_Release(&raw mut *self.0) }
    }
}
