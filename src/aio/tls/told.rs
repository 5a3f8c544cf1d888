//! What protocol, waiter and exception handler are told.

use crate::aio::fatal::{end_by, fatal};
use crate::aio::tls::object::{TlsTransport, Told};
use crate::boundary::call::Method;
use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;

/// asyncio's words.
pub(crate) const BROKEN: &str = "Fatal error on SSL protocol";

/// Any `Exception` ends the connection; others go on, as they do in asyncio.
pub(crate) fn or_fatal(slf: &Bound<'_, TlsTransport>, result: PyResult<()>) -> PyResult<()> {
    match result {
        Err(error) if error.is_instance_of::<PyException>(slf.py()) => end_by(slf, error, BROKEN),
        result => result,
    }
}

/// Whoever waits for the handshake is told.
pub(crate) fn wake_waiter(
    slf: &Bound<'_, TlsTransport>,
    error: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let waiter = me.objects.with(py, |objects| objects.waiter.take());
    let Some(waiter) = waiter.map(|waiter| waiter.into_bound(py)) else {
        return Ok(());
    };
    if waiter.method(intern!(py, "cancelled"), ())?.is_truthy()? {
        return Ok(());
    }
    match error {
        None => waiter.method(intern!(py, "set_result"), (py.None(),)),
        Some(error) => waiter.method(intern!(py, "set_exception"), (error,)),
    }
    .map(drop)
}

/// Cancels one of the timers.
pub(crate) fn cancel(py: Python<'_>, timer: Option<Py<PyAny>>) -> PyResult<()> {
    match timer {
        Some(timer) => timer.bind(py).method(intern!(py, "cancel"), ()).map(drop),
        None => Ok(()),
    }
}

/// The peer sends no more: the protocol is told, once.
pub(crate) fn call_eof_received(slf: &Bound<'_, TlsTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let due = me.flow.with(py, |flow| {
        let due = flow.told == Told::Made;
        if due {
            flow.told = Told::End;
        }
        due
    });
    let Some(protocol) = me.protocol(py).filter(|_| due) else {
        return Ok(());
    };
    let keeps = protocol
        .method(intern!(py, "eof_received"), ())
        .and_then(|keeps| keeps.is_truthy());
    match keeps {
        Ok(true) => slf.method(intern!(py, "_warn_of_half_open"), ()).map(drop),
        Ok(false) => Ok(()),
        Err(error) => fatal(slf, error, "Error calling eof_received()"),
    }
}

/// The protocol is told to pause writing, or to go on, where that is due with `unsent` sealed bytes.
pub(crate) fn control_writing(slf: &Bound<'_, TlsTransport>, unsent: usize) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let name = me.flow.with(py, |flow| {
        let size = flow.backlog.len() + unsent;
        if size >= flow.out_high && !flow.protocol_is_paused {
            flow.protocol_is_paused = true;
            Some("pause_writing")
        } else if size <= flow.out_low && flow.protocol_is_paused {
            flow.protocol_is_paused = false;
            Some("resume_writing")
        } else {
            None
        }
    });
    match name {
        Some(name) => slf.method(intern!(py, "_tell_protocol"), (name,)).map(drop),
        None => Ok(()),
    }
}

/// The transport below pauses reading, or goes on, where that is due.
pub(crate) fn control_reading(slf: &Bound<'_, TlsTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let looks = me.flow.with(py, |flow| {
        flow.app_is_paused || flow.reading_is_paused || flow.in_high < super::object::HIGH_WATER_IN
    });
    if !looks {
        // All that has come was read, but for a part of a record.
        return Ok(());
    }
    let size = me.session.unread(py)?;
    let name = me.flow.with(py, |flow| {
        if size >= flow.in_high && !flow.reading_is_paused {
            flow.reading_is_paused = true;
            Some("pause_reading")
        } else if size <= flow.in_low && flow.reading_is_paused {
            flow.reading_is_paused = false;
            Some("resume_reading")
        } else {
            None
        }
    });
    match (name, me.below(py)) {
        (Some(name), Some(below)) => below.method(name, ()).map(drop),
        _ => Ok(()),
    }
}
