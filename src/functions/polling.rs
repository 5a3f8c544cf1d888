//! `poll` and `idle`: what else the loop waits for, and what it does when there is nothing.

use crate::boundary::args;
use crate::boundary::args::refusal::{wrong_type, wrong_value};
use crate::io::sys::interest::Interest;
use crate::io::sys::platform::RawFd;
use crate::objects::idler::Idler;
use crate::objects::poller::{PollArguments, Poller, READABLE, WRITABLE};
use crate::shared::loop_state::LoopState;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyInt, PyString};

/// See `asynctcp.poll`.
#[pyfunction]
pub fn _poll(
    fd: &Bound<'_, PyAny>,
    callback: &Bound<'_, PyAny>,
    poll_for: &Bound<'_, PyAny>,
    timeout: Option<&Bound<'_, PyAny>>,
    event_cb: Option<&Bound<'_, PyAny>>,
) -> PyResult<Py<Poller>> {
    let py = fd.py();
    let event_loop = LoopState::current(py)?;
    let (number, file) = descriptor(fd)?;
    let watched = PollArguments {
        number,
        file,
        what: interest(poll_for)?,
        timeout: args::timeout("timeout", timeout)?,
    };
    let callback = args::required_callback("callback", callback)?;
    let event_cb = args::callback("event_cb", event_cb)?;
    Poller::start(py, event_loop, watched, callback, event_cb)
}

/// The number, and the object that owns it.
fn descriptor(fd: &Bound<'_, PyAny>) -> PyResult<(RawFd, Option<Py<PyAny>>)> {
    let wrong = || wrong_type("fd", "an int or an object with fileno()", fd);
    if fd.is_instance_of::<PyBool>() {
        return Err(wrong());
    }
    let number = |value: &Bound<'_, PyAny>| {
        let number = value.extract::<RawFd>();
        number.map_err(|_| wrong_value("fd", "the number of a descriptor", value))
    };
    if fd.is_instance_of::<PyInt>() {
        return Ok((number(fd)?, None));
    }
    let Some(fileno) = fd.getattr_opt(intern!(fd.py(), "fileno"))? else {
        return Err(wrong());
    };
    let value = fileno.call0()?;
    if !value.is_instance_of::<PyInt>() {
        return Err(wrong());
    }
    Ok((number(&value)?, Some(fd.clone().unbind())))
}

fn interest(poll_for: &Bound<'_, PyAny>) -> PyResult<Interest> {
    let mut what = Interest::NONE;
    let words = r#"a tuple of "readable" and "writable""#;
    let wrong = || wrong_type("poll_for", words, poll_for);
    if poll_for.is_instance_of::<PyString>() {
        return Err(wrong());
    }
    for word in poll_for.try_iter().map_err(|_| wrong())? {
        match word?.extract::<String>().as_deref() {
            Ok(READABLE) => what.readable = true,
            Ok(WRITABLE) => what.writable = true,
            Ok(_) => return Err(wrong_value("poll_for", words, poll_for)),
            Err(_) => return Err(wrong()),
        }
    }
    if what == Interest::NONE {
        return Err(wrong_value("poll_for", words, poll_for));
    }
    Ok(what)
}

/// `poller.free()`. Raises `TypeError`. Callable from any thread. cl-async: `free-poller`.
#[pyfunction]
pub fn free_poller(poller: &Bound<'_, PyAny>) -> PyResult<()> {
    let wrong = |_| wrong_type("poller", "a Poller", poller);
    let poller = poller.cast::<Poller>().map_err(wrong)?;
    poller.get().free(poller.py())
}

/// Runs `callback()` once in each turn of the loop in which nothing else was to be done.
///
/// Args:
///     callback: a callable without arguments.
///     event_cb: where an exception of the callback goes with `catch_app_errors=True`; None: it is logged. The idler is freed by it.
///
/// While there is an idler the loop does not sleep, and uses a processor as much as it can get: it is for work that can be done in
/// small pieces. Returns the `Idler`, which is freed by `idler.free()`, `with` or `free_idler(idler)`. Raises `EventLoopError` without
/// a loop, `TypeError`. Callbacks run in the loop's thread. cl-async: `idle`.
#[pyfunction]
#[pyo3(signature = (callback, *, event_cb=None))]
pub fn idle(
    callback: &Bound<'_, PyAny>,
    event_cb: Option<&Bound<'_, PyAny>>,
) -> PyResult<Py<Idler>> {
    let py = callback.py();
    let event_loop = LoopState::current(py)?;
    let callback = args::required_callback("callback", callback)?;
    let event_cb = args::callback("event_cb", event_cb)?;
    Idler::start(py, event_loop, callback, event_cb)
}

/// `idler.free()`. Raises `TypeError`. Callable from any thread. cl-async: `free-idler`.
#[pyfunction]
pub fn free_idler(idler: &Bound<'_, PyAny>) -> PyResult<()> {
    let wrong = |_| wrong_type("idler", "an Idler", idler);
    Idler::free(idler.cast::<Idler>().map_err(wrong)?)
}
