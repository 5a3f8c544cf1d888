//! Seconds.

use crate::boundary::args::refusal::{is_exception, wrong_type, wrong_value};
use crate::io::conn::link::Timeouts;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt};
use std::time::Duration;

fn seconds(name: &str, value: &Bound<'_, PyAny>) -> PyResult<f64> {
    let number = value.is_instance_of::<PyFloat>() || value.is_instance_of::<PyInt>();
    if !number || value.is_instance_of::<PyBool>() {
        return Err(wrong_type(name, "a number of seconds or None", value));
    }
    let seconds = match value.extract::<f64>() {
        Ok(seconds) => seconds,
        // An int beyond a float's range is as good as infinite.
        Err(error) if is_exception(value.py(), &error) => f64::INFINITY,
        Err(error) => return Err(error),
    };
    if seconds.is_nan() {
        Err(wrong_value(name, "a number", value))
    } else {
        Ok(seconds)
    }
}

/// A timeout in seconds; None, zero, a negative number or infinity: none.
pub fn timeout(name: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Duration>> {
    let Some(value) = value.filter(|value| !value.is_none()) else {
        return Ok(None);
    };
    let seconds = seconds(name, value)?;
    if seconds <= 0.0 {
        return Ok(None);
    }
    // What a Duration cannot hold is longer than anything will run.
    Ok(Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|timeout| timeout.as_secs() < u64::from(u32::MAX)))
}

/// Both timeouts of a socket.
pub fn timeouts(
    read: (&str, Option<&Bound<'_, PyAny>>),
    write: (&str, Option<&Bound<'_, PyAny>>),
) -> PyResult<Timeouts> {
    Ok(Timeouts {
        read: timeout(read.0, read.1)?,
        write: timeout(write.0, write.1)?,
    })
}

/// A delay in seconds: not negative, not NaN; None is 0.
pub fn delay(name: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<Duration> {
    let Some(given) = value.filter(|value| !value.is_none()) else {
        return Ok(Duration::ZERO);
    };
    let seconds = seconds(name, given)?;
    if seconds < 0.0 {
        return Err(wrong_value(name, "zero or more seconds", given));
    }
    // 136 years stand for ever.
    let ever = Duration::from_secs(u64::from(u32::MAX));
    Ok(Duration::try_from_secs_f64(seconds).map_or(ever, |delay| delay.min(ever)))
}

/// How long to wait in seconds: not negative, not NaN; None: for ever.
pub fn patience(name: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Duration>> {
    value
        .filter(|value| !value.is_none())
        .map(|value| delay(name, Some(value)))
        .transpose()
}

/// Seconds between two runs: more than 0.
pub fn period(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    if value.is_none() {
        return Err(wrong_type(name, "a number of seconds", value));
    }
    match delay(name, Some(value))? {
        Duration::ZERO => Err(wrong_value(name, "more than 0 seconds", value)),
        period => Ok(period),
    }
}
