//! Names of Unix sockets.

use crate::boundary::args::refusal::{hidden, wrong_type, wrong_value};
use crate::io::sys::address::Address;
use crate::io::sys::platform;
use pyo3::exceptions::PyUnicodeEncodeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Bytes of a name, with the NUL that ends a path or begins another name (unix(7)).
const LONGEST: usize = 108;

/// A path (str, bytes or `os.PathLike`), or a NUL and a name of Linux's abstract namespace.
pub fn unix_path(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Address> {
    let encoded = encoded(name, "a path: str, bytes or os.PathLike", value)?;
    match encoded.as_bytes() {
        [] => Err(wrong_value(name, "a path", value)),
        bytes if bytes.len() + usize::from(bytes[0] != 0) > LONGEST => {
            Err(wrong_value(name, "a path of at most 107 bytes", value))
        }
        [0, rest @ ..] => Ok(Address::Abstract(rest.into())),
        bytes if bytes.contains(&0) => Err(wrong_value(name, "a path without NUL", value)),
        bytes => Ok(Address::Path(platform::path(bytes).into())),
    }
}

/// The bytes of a path. `wanted`: what a value of another type should have been.
pub fn encoded<'py>(
    name: &str,
    wanted: &str,
    value: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyBytes>> {
    let py = value.py();
    let encoded = py
        .import(intern!(py, "os"))?
        .call_method1(intern!(py, "fsencode"), (value,));
    match encoded {
        Ok(encoded) => Ok(encoded.cast_into::<PyBytes>()?),
        Err(error) if error.is_instance_of::<PyUnicodeEncodeError>(py) => {
            let wanted = "a path that the file system's encoding can encode";
            Err(wrong_value(name, wanted, value))
        }
        Err(error) => Err(hidden(py, error, || wrong_type(name, wanted, value))),
    }
}
