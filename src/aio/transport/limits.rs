//! The marks of a transport's flow control, in bytes.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// The low and the high one, as asyncio completes them from any numbers; `usual`: the high one of who says nothing.
pub(crate) fn checked(
    py: Python<'_>,
    high: Option<&Bound<'_, PyAny>>,
    low: Option<&Bound<'_, PyAny>>,
    usual: usize,
) -> PyResult<(usize, usize)> {
    let high = match (high, low) {
        (Some(high), _) => high.clone(),
        (None, Some(low)) => low.mul(4)?,
        (None, None) => usual.into_pyobject(py)?.into_any(),
    };
    let low = match low {
        Some(low) => low.clone(),
        None => high.floor_div(4)?,
    };
    if !(high.ge(&low)? && low.ge(0)?) {
        let (high, low) = (high.repr()?, low.repr()?);
        return Err(PyValueError::new_err(format!(
            "high ({high}) must be >= low ({low}) must be >= 0"
        )));
    }
    Ok((whole(&low), whole(&high)))
}

/// More than any connection holds is as good as the most; the cast of a float stops there.
fn whole(number: &Bound<'_, PyAny>) -> usize {
    let exact = number.extract::<usize>();
    exact.unwrap_or_else(|_| {
        number
            .extract()
            .map_or(usize::MAX, |float: f64| float as usize)
    })
}
