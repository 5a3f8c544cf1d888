//! What is to be sent.

use crate::boundary::args::numbers::whole;
use crate::boundary::args::refusal::{hidden, shown, wrong_type, wrong_value};
use pyo3::exceptions::{PyTypeError, PyUnicodeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyString};

fn not_encodable(name: &str, value: &Bound<'_, PyAny>, error: PyErr) -> PyErr {
    if error.is_instance_of::<PyUnicodeError>(value.py()) {
        wrong_value(name, "encodable as UTF-8", value)
    } else {
        error
    }
}

/// What `write` was given, as bytes: borrowed where Python's object cannot change, else a copy.
pub enum Data<'py> {
    /// An immutable object: the one given, or what a mutable one held at the call.
    Bytes(Bound<'py, PyBytes>),
    /// Its UTF-8 form is kept by the object itself.
    Text(Bound<'py, PyString>),
}

impl<'py> Data<'py> {
    /// Bytes-like (C-contiguous) or str.
    pub fn from(name: &str, value: &Bound<'py, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = value.cast::<PyBytes>() {
            return Ok(Self::Bytes(bytes.clone()));
        }
        if let Ok(text) = value.cast::<PyString>() {
            // Encodes now, so that a lone surrogate is an error of the call.
            text.to_str()
                .map_err(|error| not_encodable(name, value, error))?;
            return Ok(Self::Text(text.clone()));
        }
        if value.is_instance_of::<PyByteArray>() {
            // By Python itself, which says where there is no memory for it.
            let copy = value.py().get_type::<PyBytes>().call1((value,))?;
            return Ok(Self::Bytes(copy.cast_into()?));
        }
        let view = value
            .py()
            .import("builtins")?
            .getattr("memoryview")?
            .call1((value,));
        let view = view.map_err(|error| {
            hidden(value.py(), error, || {
                wrong_type(name, "bytes-like or str", value)
            })
        })?;
        if !view.getattr("c_contiguous")?.extract::<bool>()? {
            return Err(PyTypeError::new_err(format!(
                "{name} must be C-contiguous, not {}",
                shown(value)?
            )));
        }
        let bytes = view.call_method0("tobytes")?;
        Ok(Self::Bytes(bytes.cast_into()?))
    }

    /// The bytes.
    pub fn as_slice(&self) -> PyResult<&[u8]> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.as_bytes()),
            Self::Text(text) => text.to_str().map(str::as_bytes),
        }
    }

    /// The object whose memory the bytes are, if it never changes.
    pub fn owner(&self) -> Option<&Bound<'py, PyBytes>> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Text(_) => None,
        }
    }
}

/// `bytes[start:end]` with bounds that must lie within.
pub fn slice<'a>(
    bytes: &'a [u8],
    start: Option<&Bound<'_, PyAny>>,
    end: Option<&Bound<'_, PyAny>>,
) -> PyResult<&'a [u8]> {
    let bound = |name: &str, value: Option<&Bound<'_, PyAny>>, default: usize| match value {
        Some(value) if !value.is_none() => {
            let outside = || wrong_value(name, &format!("from 0 to {}", bytes.len()), value);
            whole::<usize>(name, value, i64::MIN).map_err(|error| {
                if error.is_instance_of::<PyTypeError>(value.py()) {
                    error
                } else {
                    outside()
                }
            })
        }
        _ => Ok(default),
    };
    let (from, to) = (bound("start", start, 0)?, bound("end", end, bytes.len())?);
    if to > bytes.len() || from > to {
        return Err(PyValueError::new_err(format!(
            "start and end must lie within the data: start={from}, end={to}, {} bytes",
            bytes.len()
        )));
    }
    Ok(&bytes[from..to])
}
