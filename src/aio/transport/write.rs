//! Sending: what callbacks wrote leaves at the turn's end, at once where it is much.

use crate::aio::data;
use crate::aio::transport::flush::{flush_at_once, pause_protocol};
use crate::aio::transport::object::StreamTransport;
use crate::aio::watched::Watched;
use crate::boundary::call::Method;
use crate::boundary::memory;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::sync::atomic::Ordering::Relaxed;

/// asyncio warns of writes to a connection that is lost from the fifth on.
pub(crate) const WARN_FROM: u32 = 5;

/// `transport.write(data)`.
pub(crate) fn write(slf: &Bound<'_, StreamTransport>, data: &Bound<'_, PyAny>) -> PyResult<()> {
    let bytes = bytes_of(data)?;
    check(slf)?;
    let (py, me) = (slf.py(), slf.get());
    if bytes.as_bytes().is_empty() {
        return Ok(());
    }
    let lost = me.flow.with(py, |flow| {
        if flow.lost == 0 {
            return flow.outgoing.push_object(&bytes).map(|()| 0);
        }
        flow.lost += 1;
        Ok(flow.lost)
    });
    let lost = lost.map_err(memory::error)?;
    if lost > 0 {
        return if lost > WARN_FROM { warn(py) } else { Ok(()) };
    }
    send_soon(slf, bytes.as_bytes().len())
}

/// Whether something may be written now.
#[inline]
fn check(slf: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    if me.flow.with(py, |flow| flow.eof) {
        return Err(PyRuntimeError::new_err(
            "Cannot call write() after write_eof()",
        ));
    }
    if me
        .objects
        .with(py, |objects| objects.empty_waiter.is_some())
    {
        return Err(PyRuntimeError::new_err(
            "unable to write; sendfile is in progress",
        ));
    }
    Ok(())
}

/// `transport.writelines(list)`.
pub(crate) fn write_lines(
    slf: &Bound<'_, StreamTransport>,
    lines: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let lines = data::lines_of(lines)?;
    check(slf)?;
    lines.iter().try_for_each(|line| write(slf, line))
}

/// What is to be sent; others are refused in the words of the interpreter's own asyncio.
pub(crate) fn bytes_of<'py>(data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    data::bytes_of(data, |name| {
        let wanted = if data.py().version_info() >= (3, 14) {
            "bytes, bytearray, or memoryview"
        } else {
            "bytes-like"
        };
        format!("data argument must be a {wanted} object, not '{name}'")
    })
}

#[cold]
pub(crate) fn warn(py: Python<'_>) -> PyResult<()> {
    let logger = py.import("asyncio.log")?.getattr("logger")?;
    logger
        .method("warning", ("socket.send() raised exception.",))
        .map(drop)
}

/// What waits is sent when the callbacks of the turn have run; at once where none runs, or where it is too much to wait.
#[inline]
fn send_soon(slf: &Bound<'_, StreamTransport>, count: usize) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let Some(event_loop) = me.event_loop(py) else {
        return Ok(());
    };
    let state = &event_loop.get().state;
    let (blocked, dirty, much) = me.flow.with(py, |flow| {
        let much = flow.outgoing.len() > flow.high_water;
        (flow.is_blocked, flow.is_dirty, much)
    });
    if blocked {
        return pause_protocol(slf);
    }
    if much || !state.calling.load(Relaxed) {
        return flush_at_once(slf);
    }
    if dirty {
        state.unsent.note(count);
    } else {
        me.flow.with(py, |flow| flow.is_dirty = true);
        state
            .unsent
            .push(py, slf.clone().into_any().unbind(), count);
    }
    Ok(())
}
