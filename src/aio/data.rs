//! What a program gives to be sent.

use crate::boundary::call::call;
use pyo3::exceptions::PyTypeError;
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
