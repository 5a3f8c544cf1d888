//! Memory that a program or a peer wants, where the system has error: MemoryError, and not the process's end.

use crate::io::extend;
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use std::collections::TryReserveError;

/// As it is raised.
#[cold]
pub fn error(_: TryReserveError) -> PyErr {
    PyMemoryError::new_err("no memory for the data")
}

/// Puts `bytes` behind `kept`.
#[inline]
pub fn extend(kept: &mut Vec<u8>, bytes: &[u8]) -> PyResult<()> {
    extend::extend(kept, bytes).map_err(error)
}
