//! Checks arguments at the call, before anything is opened, and turns them into plain Rust values.
//!
//! Every message names the argument and its value.

use crate::boundary::condition;
use crate::boundary::coroutine;
use crate::io::conn::link::Timeouts;
use crate::io::setup::options::{SocketOption, SocketOptions};
use crate::io::setup::resolve;
use crate::socket::Socket;
use pyo3::exceptions::{PyException, PyTypeError, PyUnicodeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyEllipsis, PyFloat, PyInt, PyList, PyString, PyTuple,
};
use socket2::TcpKeepalive;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

/// Longest name that the DNS knows (RFC 1035), and longest label of one.
const LONGEST_HOST: usize = 253;
const LONGEST_LABEL: usize = 63;
/// Linux's own limits: seconds, and probes without an answer.
const LONGEST_KEEPALIVE: u32 = 32767;
const MOST_PROBES: u32 = 127;

fn wrong_type(name: &str, wanted: &str, value: &Bound<'_, PyAny>) -> PyErr {
    let kind = value
        .get_type()
        .name()
        .map(|name| name.to_string())
        .unwrap_or_default();
    match shown(value) {
        Ok(text) => PyTypeError::new_err(format!("{name} must be {wanted}, not {kind}: {text}")),
        Err(error) => error,
    }
}

fn wrong_value(name: &str, wanted: &str, value: &Bound<'_, PyAny>) -> PyErr {
    match shown(value) {
        Ok(text) => PyValueError::new_err(format!("{name} must be {wanted}, not {text}")),
        Err(error) => error,
    }
}

fn shown(value: &Bound<'_, PyAny>) -> PyResult<String> {
    let mut text = match value.repr() {
        Ok(repr) => repr.to_string_lossy().into_owned(),
        Err(error) if is_exception(value.py(), &error) => "(no repr)".to_owned(),
        Err(error) => return Err(error),
    };
    if text.chars().count() > 80 {
        text = text.chars().take(77).chain("...".chars()).collect();
    }
    Ok(text)
}

/// Whether an error of Python code that ran on the way may be hidden by a better one: `KeyboardInterrupt` and what else is
/// no `Exception` may not.
fn is_exception(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PyException>(py)
}

/// `error`, or `other` where that may hide it.
fn hidden(py: Python<'_>, error: PyErr, other: impl FnOnce() -> PyErr) -> PyErr {
    if is_exception(py, &error) {
        other()
    } else {
        error
    }
}

/// A callable or None.
pub fn callback(name: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Py<PyAny>>> {
    match value {
        None => Ok(None),
        Some(value) if value.is_none() => Ok(None),
        Some(value) if value.is_callable() => {
            coroutine::refuse(name, value)?;
            Ok(Some(value.clone().unbind()))
        }
        Some(value) => Err(wrong_type(name, "callable or None", value)),
    }
}

/// A callback for `set_callbacks`; its default, `...`, keeps what there is.
pub enum Change<'py> {
    /// Not given.
    Keep,
    /// A callable or None.
    By(Bound<'py, PyAny>),
}

impl<'py> FromPyObject<'_, 'py> for Change<'py> {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        Ok(if value.is(PyEllipsis::get(value.py())) {
            Self::Keep
        } else {
            Self::By(value.to_owned())
        })
    }
}

impl Change<'_> {
    /// [`callback`] of what was given; None: nothing was.
    pub fn check(&self, name: &str) -> PyResult<Option<Option<Py<PyAny>>>> {
        match self {
            Self::Keep => Ok(None),
            Self::By(value) => callback(name, Some(value)).map(Some),
        }
    }
}

/// A socket, or the socket of a stream.
pub fn socket<'py>(name: &str, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Socket>> {
    if let Ok(socket) = value.cast::<Socket>() {
        return Ok(socket.clone());
    }
    let wrong = || wrong_type(name, "a Socket or an AsyncIOStream", value);
    let below = value
        .getattr("socket")
        .map_err(|error| hidden(value.py(), error, wrong))?;
    below.cast_into::<Socket>().map_err(|_| wrong())
}

/// A callable.
pub fn required_callback(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    if !value.is_callable() {
        return Err(wrong_type(name, "callable", value));
    }
    coroutine::refuse(name, value)?;
    Ok(value.clone().unbind())
}

/// For what the Python side takes: `TypeError` unless `value` is a callable that is no coroutine function, or, where that is
/// `optional`, None.
#[pyfunction]
#[pyo3(signature = (name, value, optional=false))]
pub fn _check_callback(name: &str, value: &Bound<'_, PyAny>, optional: bool) -> PyResult<()> {
    if optional {
        callback(name, Some(value)).map(drop)
    } else {
        required_callback(name, value).map(drop)
    }
}

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

/// A backlog; -1: None, the system's maximum.
pub fn backlog(name: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<i32>> {
    Ok(optional_whole(name, value, -1)?.filter(|backlog| *backlog >= 0))
}

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

/// A host: an address, or a name ready for the resolver.
#[derive(Debug)]
pub enum HostArg {
    /// A literal, with its scope.
    Literal(SocketAddr),
    /// A name (in ASCII), or a literal with a scope that only the system can resolve.
    Name(String),
}

/// A host that is not empty.
pub fn host(name: &str, value: &Bound<'_, PyAny>) -> PyResult<HostArg> {
    let Ok(text) = value.cast::<PyString>() else {
        return Err(wrong_type(name, "a str", value));
    };
    let text = match text.to_str() {
        Ok(text) => text.to_owned(),
        Err(_) => return Err(wrong_value(name, "a host without surrogates", value)),
    };
    if text.is_empty() {
        return Err(wrong_value(name, "a host", value));
    }
    if text.chars().any(|c| c.is_whitespace() || c == '\0') {
        return Err(wrong_value(name, "a host without whitespace or NUL", value));
    }
    // What is ASCII is left as it is; a literal in other digits is one only then.
    let ascii = match literal(&text) {
        None if !text.is_ascii() => idna(name, &text, value)?,
        _ => text,
    };
    if let Some(address) = literal(&ascii) {
        return Ok(HostArg::Literal(address));
    }
    let labels_fit = ascii
        .split('%')
        .next()
        .unwrap_or("")
        .split('.')
        .all(|label| label.len() <= LONGEST_LABEL);
    if ascii.len() > LONGEST_HOST || !labels_fit {
        return Err(wrong_value(
            name,
            "a host of at most 253 characters in labels of at most 63",
            value,
        ));
    }
    Ok(HostArg::Name(ascii))
}

/// Where a server listens; None: any address.
pub fn bind_host(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<HostArg>> {
    let any = value.is_none()
        || value
            .cast::<PyString>()
            .is_ok_and(|text| text.to_str().is_ok_and(str::is_empty));
    if any {
        Ok(None)
    } else {
        host(name, value).map(Some)
    }
}

/// A host that must be an IP address.
pub fn literal_host(name: &str, value: &Bound<'_, PyAny>) -> PyResult<SocketAddr> {
    match host(name, value)? {
        HostArg::Literal(address) => Ok(address),
        HostArg::Name(_) => Err(wrong_value(name, "an IP address", value)),
    }
}

/// An address as text, with its scope.
pub fn address_text(address: &SocketAddr) -> String {
    match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
        _ => address.ip().to_string(),
    }
}

/// An address family; AF_UNSPEC: None, both.
pub fn family(name: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<i32>> {
    let Some(given) = value.filter(|value| !value.is_none()) else {
        return Ok(None);
    };
    if !given.is_instance_of::<PyInt>() || given.is_instance_of::<PyBool>() {
        return Err(wrong_type(name, "an address family", given));
    }
    match given.extract::<i32>() {
        Ok(libc::AF_UNSPEC) => Ok(None),
        Ok(family @ (libc::AF_INET | libc::AF_INET6)) => Ok(Some(family)),
        _ => Err(wrong_value(name, "AF_UNSPEC, AF_INET or AF_INET6", given)),
    }
}

/// The own address to connect from: (host, port), the host a literal.
pub fn local_address(name: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<SocketAddr>> {
    let Some(value) = value.filter(|value| !value.is_none()) else {
        return Ok(None);
    };
    let Ok((address, number)) = value.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>() else {
        return Err(wrong_type(name, "a tuple (host, port)", value));
    };
    let number = port(name, &number, 0)?;
    match host(name, &address)? {
        HostArg::Literal(mut address) => {
            address.set_port(number);
            Ok(Some(address))
        }
        HostArg::Name(_) => Err(wrong_value(name, "an IP address and a port", value)),
    }
}

fn literal(text: &str) -> Option<SocketAddr> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(SocketAddr::new(ip, 0));
    }
    let (address, zone) = text.split_once('%')?;
    let address: Ipv6Addr = address.parse().ok()?;
    Some(SocketAddrV6::new(address, 0, 0, scope(zone)?).into())
}

/// The index of an interface, given by name or number. A zone that does not exist is left for the resolver to refuse.
fn scope(zone: &str) -> Option<u32> {
    zone.parse().ok().or_else(|| resolve::zone(zone))
}

/// The ASCII form of an internationalised name, as browsers make it (UTS 46, not transitional).
fn idna(name: &str, text: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    let ascii = idna::domain_to_ascii_cow(text.as_bytes(), idna::AsciiDenyList::URL);
    match ascii {
        Ok(ascii) if !ascii.is_empty() => Ok(ascii.into_owned()),
        _ => Err(wrong_value(name, "a host that IDNA can encode", value)),
    }
}

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
