//! Names of Unix sockets.

use crate::boundary::args::refusal::{hidden, wrong_type, wrong_value};
use crate::io::sys::address::Address;
use crate::io::sys::platform;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Bytes of a name, with the NUL that ends a path or begins another name (unix(7)).
const LONGEST: usize = 108;

/// A path (str, bytes or `os.PathLike`), or a NUL and a name of Linux's abstract namespace.
pub fn unix_path(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Address> {
    let py = value.py();
    let encoded = py
        .import(intern!(py, "os"))?
        .call_method1(intern!(py, "fsencode"), (value,))
        .map_err(|error| {
            hidden(py, error, || {
                wrong_type(name, "a path: str, bytes or os.PathLike", value)
            })
        })?
        .cast_into::<PyBytes>()?;
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
