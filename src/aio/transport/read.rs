//! Receiving: what the turn does with a connection that is ready.

use crate::aio::context::run_in;
use crate::aio::data::Room;
use crate::aio::fatal::fatal;
use crate::aio::state::{MOST_RECEIVED, State};
use crate::aio::tls::incoming as tls;
use crate::aio::tls::object::TlsTransport;
use crate::aio::tls::outcome::Stopped;
use crate::aio::transport::debug;
use crate::aio::transport::end;
use crate::aio::transport::object::{Flow, Receiver, StreamTransport};
use crate::aio::transport::receiver::deliver;
use crate::aio::transport::writable::on_writable;
use crate::aio::watched::Watched;
use crate::boundary::call::Method;
use crate::boundary::unfilled;
use crate::io::failure::Failure;
use crate::io::sys::transfer;
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::io::ErrorKind;
use std::os::fd::BorrowedFd;

/// So many bytes at once are much.
const MUCH: usize = 32 * 1024;

/// asyncio's words.
const READING_FAILED: &str = "Fatal read error on socket transport";

/// [`on_ready`] in the transport's context.
pub(crate) fn in_context(slf: &Bound<'_, StreamTransport>) -> PyResult<()> {
    match slf.get().context(slf.py()) {
        Some(context) => run_in(&context, || on_ready(slf)),
        None => Ok(()),
    }
}

/// Called for what the selector has said. What has come goes first, as in asyncio: a connection that broke is ready for both, and its
/// peer may have said why before.
pub(crate) fn on_ready(slf: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let ready = me
        .flow
        .with(py, |flow| std::mem::take(&mut flow.watch.ready));
    if ready.readable {
        on_readable(slf)?;
    }
    let writes = |flow: &mut Flow| {
        // What has come by the time at which sending failed is delivered, over several turns if need be.
        let reads_on = ready.readable && flow.failure.is_some() && flow.reads();
        flow.is_blocked && flow.lost == 0 && !reads_on
    };
    if ready.writable && me.flow.with(py, writes) {
        on_writable(slf)?;
    }
    Ok(())
}

fn on_readable(slf: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let (lost, reads) = me.flow.with(py, |flow| (flow.lost > 0, flow.reads()));
    if lost {
        return Ok(());
    }
    if !reads {
        // Only now, for most that pause go on before anything comes.
        return StreamTransport::stop_reading(slf);
    }
    match me.flow.with(py, |flow| flow.receiver) {
        Receiver::Buffer => receive_into_buffer(slf),
        Receiver::Tls => receive_records(slf),
        receiver => receive(slf, receiver),
    }
}

/// TLS gets what has come without a call of Python's.
fn receive_records(slf: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let (Some(socket), Some(event_loop)) = (me.descriptor(py), me.event_loop(py)) else {
        return Ok(());
    };
    let Some(protocol) = me.protocol(py) else {
        return Ok(());
    };
    let tls = protocol.cast::<TlsTransport>()?;
    match tls::receive(tls, &socket, &event_loop.get().state) {
        Ok((0, _)) => at_end(slf),
        Ok((_, done)) => {
            let message = "Fatal error: protocol.buffer_updated() call failed.";
            or_fatal(slf, done, message).map(drop)
        }
        Err(Stopped::Failed(failure)) => failed(slf, failure),
        Err(Stopped::Raised(error)) => fatal(slf, error, READING_FAILED),
    }
}

fn receive(slf: &Bound<'_, StreamTransport>, receiver: Receiver) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let (Some(socket), Some(event_loop)) = (me.descriptor(py), me.event_loop(py)) else {
        return Ok(());
    };
    let before = me.flow.with(py, |flow| flow.received);
    let received = if before >= MUCH {
        receive_in_place(py, &socket, (2 * before).min(MOST_RECEIVED))
    } else {
        receive_and_copy(py, &socket, &event_loop.get().state)
    };
    let data = match received {
        Ok(data) => data,
        Err(Stopped::Failed(failure)) => return failed(slf, failure),
        Err(Stopped::Raised(error)) => return fatal(slf, error, READING_FAILED),
    };
    let count = data.as_bytes().len();
    if count == 0 {
        return at_end(slf);
    }
    me.flow.with(py, |flow| flow.received = count);
    let Some(protocol) = me.protocol(py) else {
        return Ok(());
    };
    let result = deliver(&protocol, receiver, data);
    let message = "Fatal error: protocol.data_received() call failed.";
    or_fatal(slf, result, message).map(drop)
}

/// What is small is received into memory that all share, so that its object is no larger than it.
fn receive_and_copy<'py>(
    py: Python<'py>,
    socket: &BorrowedFd<'_>,
    state: &State,
) -> Result<Bound<'py, PyBytes>, Stopped> {
    let mut buffer = state.take_buffer(py);
    let received = transfer::receive(socket, &mut buffer);
    let data = received
        .map_err(Stopped::from)
        .and_then(|count| Ok(unfilled::copy(py, &buffer[..count])?));
    state.put_buffer(py, buffer);
    data
}

/// What is large is not copied: that took a third of the time.
fn receive_in_place<'py>(
    py: Python<'py>,
    socket: &BorrowedFd<'_>,
    size: usize,
) -> Result<Bound<'py, PyBytes>, Stopped> {
    let object = unfilled::make(py, size).map_err(Stopped::Raised)?;
    // SAFETY: the object is `size` bytes long and seen by nobody else.
    let space = unsafe { std::slice::from_raw_parts_mut(unfilled::start(&object).cast(), size) };
    match transfer::receive_into(socket, space) {
        Ok(count) if count == size => Ok(object),
        Ok(count) => unfilled::filled(object, count).map_err(Stopped::Raised),
        Err(error) => Err(Stopped::Failed(Failure::Os(error))),
    }
}

fn failed(slf: &Bound<'_, StreamTransport>, failure: Failure) -> PyResult<()> {
    match failure {
        // There was nothing: the selector will say when there is.
        Failure::Os(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
        failure => fatal(slf, failure.into(), READING_FAILED),
    }
}

fn receive_into_buffer(slf: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let Some(protocol) = me.protocol(py) else {
        return Ok(());
    };
    let buffer = protocol
        .method(intern!(py, "get_buffer"), (-1,))
        .and_then(|buffer| Room::of(&buffer))
        .and_then(|buffer| {
            if buffer.len() == 0 {
                return Err(PyRuntimeError::new_err(
                    "get_buffer() returned an empty buffer",
                ));
            }
            Ok(buffer)
        });
    let Some(mut buffer) = or_fatal(
        slf,
        buffer,
        "Fatal error: protocol.get_buffer() call failed.",
    )?
    else {
        return Ok(());
    };
    let Some(socket) = me.descriptor(py) else {
        return Ok(());
    };
    // SAFETY: no Python code runs meanwhile.
    let received = transfer::receive(&socket, unsafe { buffer.bytes() });
    drop(buffer);
    match received {
        Ok(0) => at_end(slf),
        Ok(count) => {
            let result = protocol.method(intern!(py, "buffer_updated"), (count,));
            or_fatal(
                slf,
                result,
                "Fatal error: protocol.buffer_updated() call failed.",
            )
            .map(drop)
        }
        Err(error) => failed(slf, Failure::Os(error)),
    }
}

/// The peer has ended.
fn at_end(slf: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    if me.flow.with(py, |flow| flow.failure.is_some()) {
        // It is no orderly one, as sending has told.
        return on_writable(slf);
    }
    debug::log(slf, "received EOF")?;
    let Some(protocol) = me.protocol(py) else {
        return Ok(());
    };
    let keep = protocol
        .method(intern!(py, "eof_received"), ())
        .and_then(|keep| keep.is_truthy());
    let Some(keep) = or_fatal(
        slf,
        keep,
        "Fatal error: protocol.eof_received() call failed.",
    )?
    else {
        return Ok(());
    };
    if !keep {
        return end::close(slf);
    }
    me.flow.with(py, |flow| flow.has_ended = true);
    StreamTransport::stop_reading(slf)
}

/// An exception ends the connection; those that end a program go on.
fn or_fatal<R>(
    slf: &Bound<'_, StreamTransport>,
    result: PyResult<R>,
    message: &str,
) -> PyResult<Option<R>> {
    match result {
        Ok(result) => Ok(Some(result)),
        Err(error) => fatal(slf, error, message).map(|()| None),
    }
}
