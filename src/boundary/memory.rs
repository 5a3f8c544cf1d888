//! Memory that a program or a peer wants, where the system has none: MemoryError, and not the process's end.

use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use std::collections::TryReserveError;

/// As it is raised.
#[cold]
pub fn none(_: TryReserveError) -> PyErr {
    PyMemoryError::new_err("no memory for the data")
}

/// Puts `bytes` behind `kept`.
#[inline]
pub fn extend(kept: &mut Vec<u8>, bytes: &[u8]) -> PyResult<()> {
    kept.try_reserve(bytes.len()).map_err(none)?;
    kept.extend_from_slice(bytes);
    Ok(())
}
