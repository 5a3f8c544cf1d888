//! Socket options.

use crate::boundary::args::data::Data;
use crate::boundary::args::numbers::{whole, within};
use crate::boundary::args::refusal::{wrong_type, wrong_value};
use crate::boundary::condition;
use crate::io::setup::options::{SocketOption, SocketOptions};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyList, PyString, PyTuple};
use socket2::TcpKeepalive;
use std::time::Duration;

/// Linux's own limits: seconds, and probes without an answer.
const LONGEST_KEEPALIVE: u32 = 32767;

const MOST_PROBES: u32 = 127;

/// What `setsockopt` takes: a list of (level, name, value); None: none.
pub fn socket_options(name: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<SocketOptions> {
    let Some(value) = value.filter(|value| !value.is_none()) else {
        return Ok(SocketOptions::default());
    };
    let wrong =
        |value: &Bound<'_, PyAny>| wrong_type(name, "a list of tuples (level, name, value)", value);
    let all = value
        .cast::<PyList>()
        .map(|list| list.clone().into_any())
        .or_else(|_| {
            value
                .cast::<PyTuple>()
                .map(|tuple| tuple.clone().into_any())
        })
        .map_err(|_| wrong(value))?;
    let mut options = Vec::new();
    for one in all.try_iter()? {
        let one = one?;
        let parts = one.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>, Bound<'_, PyAny>)>();
        let (level, option, value) = parts.map_err(|_| wrong(&one))?;
        options.push(SocketOption {
            level: whole(name, &level, 0)?,
            name: whole(name, &option, 0)?,
            value: option_value(name, &value)?,
        });
    }
    Ok(SocketOptions::new(options))
}

fn option_value(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if value.is_instance_of::<PyInt>() {
        return value
            .extract::<i32>()
            .map(|number| number.to_ne_bytes().to_vec())
            .map_err(|_| wrong_value(name, "ints of a C int's range", value));
    }
    if value.is_instance_of::<PyString>() {
        return Err(wrong_type(name, "values that are ints or bytes", value));
    }
    Ok(Data::from(name, value)?.as_slice()?.to_vec())
}

/// The number of a socket option, from 1 to `most`, or None. Another is refused as a `ValueError` that is also the
/// system's `OSError`.
fn option(name: &str, value: Option<&Bound<'_, PyAny>>, most: u32) -> PyResult<Option<u32>> {
    let Some(value) = value.filter(|value| !value.is_none()) else {
        return Ok(None);
    };
    match within(name, value, 1, most.into()) {
        Err(error) if error.is_instance_of::<PyValueError>(value.py()) => {
            Err(condition::option_error(value.py(), &error))
        }
        result => result.map(Some),
    }
}

/// The keep-alive times that were given; None: none were.
pub fn keepalive(
    idle: Option<&Bound<'_, PyAny>>,
    interval: Option<&Bound<'_, PyAny>>,
    count: Option<&Bound<'_, PyAny>>,
) -> PyResult<Option<TcpKeepalive>> {
    let idle = option("idle", idle, LONGEST_KEEPALIVE)?;
    let interval = option("interval", interval, LONGEST_KEEPALIVE)?;
    let count = option("count", count, MOST_PROBES)?;
    if idle.or(interval).or(count).is_none() {
        return Ok(None);
    }
    let mut keepalive = TcpKeepalive::new();
    if let Some(idle) = idle {
        keepalive = keepalive.with_time(Duration::from_secs(idle.into()));
    }
    if let Some(interval) = interval {
        keepalive = keepalive.with_interval(Duration::from_secs(interval.into()));
    }
    if let Some(count) = count {
        keepalive = keepalive.with_retries(count);
    }
    Ok(Some(keepalive))
}
