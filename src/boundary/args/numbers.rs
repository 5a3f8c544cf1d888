//! Whole numbers.

use crate::boundary::args::refusal::{wrong_type, wrong_value};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyInt};

/// A port: an int from `least` to 65535.
pub fn port(name: &str, value: &Bound<'_, PyAny>, least: u16) -> PyResult<u16> {
    if !value.is_instance_of::<PyInt>() || value.is_instance_of::<PyBool>() {
        return Err(wrong_type(name, "an int", value));
    }
    match value.extract::<u16>() {
        Ok(port) if port >= least => Ok(port),
        _ => Err(wrong_value(name, &format!("from {least} to 65535"), value)),
    }
}

/// A whole number from `least` on that fits `T`.
pub fn whole<T: TryFrom<i64>>(name: &str, value: &Bound<'_, PyAny>, least: i64) -> PyResult<T> {
    if !value.is_instance_of::<PyInt>() || value.is_instance_of::<PyBool>() {
        return Err(wrong_type(name, "an int", value));
    }
    let number = value
        .extract::<i64>()
        .ok()
        .filter(|number| *number >= least);
    number
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| wrong_value(name, &format!("at least {least} and not too large"), value))
}

/// [`whole`], or None.
pub fn optional_whole<T: TryFrom<i64>>(
    name: &str,
    value: Option<&Bound<'_, PyAny>>,
    least: i64,
) -> PyResult<Option<T>> {
    value
        .filter(|value| !value.is_none())
        .map(|value| whole(name, value, least))
        .transpose()
}

/// A backlog; -1: None, the system's maximum.
pub fn backlog(name: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<i32>> {
    Ok(optional_whole(name, value, -1)?.filter(|backlog| *backlog >= 0))
}

/// A whole number from `least` to `most`.
pub fn within<T: TryFrom<i64>>(
    name: &str,
    value: &Bound<'_, PyAny>,
    least: i64,
    most: i64,
) -> PyResult<T> {
    let wrong = || wrong_value(name, &format!("from {least} to {most}"), value);
    match whole::<i64>(name, value, least) {
        Ok(number) if number <= most => T::try_from(number).map_err(|_| wrong()),
        Err(error) if !error.is_instance_of::<PyValueError>(value.py()) => Err(error),
        _ => Err(wrong()),
    }
}
