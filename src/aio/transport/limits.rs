//! The marks of a transport's flow control, in bytes.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// The low and the high one, as asyncio completes them; `usual`: the high one of who says nothing.
pub(crate) fn checked(
    high: Option<i64>,
    low: Option<i64>,
    usual: usize,
) -> PyResult<(usize, usize)> {
    let high = high.unwrap_or_else(|| low.map_or(usual as i64, |low| low.saturating_mul(4)));
    let low = low.unwrap_or(high / 4);
    match (usize::try_from(low), usize::try_from(high)) {
        (Ok(low), Ok(high)) if low <= high => Ok((low, high)),
        _ => Err(PyValueError::new_err(format!(
            "high ({high}) must be >= low ({low}) must be >= 0"
        ))),
    }
}
