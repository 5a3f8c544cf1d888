//! What is done in which state: asyncio's `sslproto`, step by step.

use crate::aio::fatal::end_by;
use crate::aio::tls::object::{Flow, Phase, TlsTransport, Told};
use crate::aio::tls::outcome::{End, Filled, Read};
use crate::aio::tls::outgoing::{process, seal, send_before, send_rest};
use crate::aio::tls::told::{
    BROKEN, call_eof_received, cancel, control_reading, or_fatal, wake_waiter,
};
use crate::aio::transport::object::Receiver;
use crate::aio::transport::receiver;
use crate::boundary::call::Method;
use crate::boundary::exception;
use pyo3::exceptions::{PyException, PyOSError, PyRuntimeError};
use pyo3::intern;
use pyo3::prelude::*;

/// The transport below is there.
pub(crate) fn begin(slf: &Bound<'_, TlsTransport>, below: &Bound<'_, PyAny>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    if me.protocol(py).is_none() {
        // It was lost before it was there: `start_tls` over a connection that is closing.
        return Ok(());
    }
    let kept = below.clone().unbind();
    let before = me.objects.with(py, |objects| objects.below.replace(kept));
    drop(before);
    me.set_phase(py, Phase::Handshake);
    if me.is_debug(py) {
        slf.method(intern!(py, "_handshake_begins"), ())?;
    }
    if let Some(limit) = me.handshake_limit {
        let timer = call_later(slf, limit, "_check_handshake_timeout")?;
        let before = me
            .objects
            .with(py, |objects| objects.handshake_timer.replace(timer));
        cancel(py, before)?;
    }
    handshake(slf)
}

fn call_later(slf: &Bound<'_, TlsTransport>, delay: f64, name: &str) -> PyResult<Py<PyAny>> {
    let Some(event_loop) = slf.get().event_loop(slf.py()) else {
        return Err(PyRuntimeError::new_err("the transport is closed"));
    };
    let callback = slf.getattr(name)?;
    event_loop
        .method(intern!(slf.py(), "call_later"), (delay, callback))
        .map(Bound::unbind)
}

fn call_soon(slf: &Bound<'_, TlsTransport>, callback: Bound<'_, PyAny>) -> PyResult<()> {
    match slf.get().event_loop(slf.py()) {
        Some(event_loop) => event_loop
            .method(intern!(slf.py(), "call_soon"), (callback,))
            .map(drop),
        None => Ok(()),
    }
}

/// Something has come, or what has come is to be looked at again.
pub(crate) fn step(slf: &Bound<'_, TlsTransport>) -> PyResult<()> {
    match slf.get().phase(slf.py()) {
        Phase::Handshake => handshake(slf),
        Phase::Wrapped => read(slf),
        Phase::Flushing => finish(slf),
        Phase::Shutdown => shut_down(slf),
        Phase::Unwrapped => Ok(()),
    }
}

fn handshake(slf: &Bound<'_, TlsTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let done = {
        let _locked = me.session_lock.enter(py);
        me.session.handshake(py)
    };
    match done {
        Ok(true) => complete(slf),
        Ok(false) => process(slf),
        Err(error) if error.is_instance_of::<PyOSError>(py) => {
            // The peer is told, which asyncio's own leaves out.
            send_rest(slf)?;
            fail(slf, error)
        }
        Err(error) => Err(error),
    }
}

fn complete(slf: &Bound<'_, TlsTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    stop_handshake_timer(slf)?;
    me.set_phase(py, Phase::Wrapped);
    match slf.method(intern!(py, "_handshake_done"), ()) {
        Ok(_) => {}
        Err(error) if error.is_instance_of::<PyException>(py) => return fail(slf, error),
        Err(error) => return Err(error),
    }
    let is_new = me.flow.with(py, |flow| {
        let is_new = flow.told == Told::Nothing;
        if is_new {
            flow.told = Told::Made;
        }
        is_new
    });
    if let Some(protocol) = me.protocol(py).filter(|_| is_new) {
        protocol.method(intern!(py, "connection_made"), (slf,))?;
    }
    wake_waiter(slf, None)?;
    read(slf)?;
    // What was written before does not wait for a protocol that reads nothing yet.
    let sent = process(slf);
    or_fatal(slf, sent)
}

fn stop_handshake_timer(slf: &Bound<'_, TlsTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let timer = me
        .objects
        .with(py, |objects| objects.handshake_timer.take());
    cancel(py, timer)
}

/// There is no session.
fn fail(slf: &Bound<'_, TlsTransport>, error: PyErr) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    stop_handshake_timer(slf)?;
    me.set_phase(py, Phase::Unwrapped);
    let value = exception::value(py, &error);
    slf.method(intern!(py, "_handshake_failed"), (&value,))?;
    wake_waiter(slf, Some(&value))
}

/// What has come goes to the protocol, and what that writes to the peer.
fn read(slf: &Bound<'_, TlsTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    if !matches!(me.phase(py), Phase::Wrapped | Phase::Flushing) {
        return Ok(());
    }
    let (paused, buffered) = me.flow.with(py, |flow| {
        (flow.app_is_paused, flow.receiver == Receiver::Buffer)
    });
    if paused {
        let controlled = control_reading(slf);
        return or_fatal(slf, controlled);
    }
    if buffered {
        let done = read_buffers(slf).and_then(|()| after_reading(slf));
        return or_fatal(slf, done);
    }
    let read = {
        let _locked = me.session_lock.enter(py);
        me.session.read(py)
    };
    deliver(slf, read)
}

/// These bytes go to the protocol, and what that writes to the peer.
pub(crate) fn deliver(slf: &Bound<'_, TlsTransport>, read: Read<'_>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let mut told = Ok(());
    if let Some(data) = read.data
        && let Some(protocol) = me.protocol(py)
    {
        let receiver = me.flow.with(py, |flow| flow.receiver);
        told = receiver::deliver(&protocol, receiver, data);
    }
    let done = told
        .and_then(|()| end_of_reading(slf, read.end))
        .and_then(|()| after_reading(slf));
    or_fatal(slf, done)
}

fn end_of_reading(slf: &Bound<'_, TlsTransport>, end: Option<End>) -> PyResult<()> {
    match end {
        None => Ok(()),
        Some(End::Closed) => {
            call_eof_received(slf)?;
            start_shutdown(slf)
        }
        Some(End::Failed(error)) => {
            send_rest(slf)?;
            Err(error)
        }
    }
}

fn after_reading(slf: &Bound<'_, TlsTransport>) -> PyResult<()> {
    process(slf)?;
    control_reading(slf)
}

/// One buffer now, and the next in a later step; all that has come where there will be none, which asyncio loses.
fn read_buffers(slf: &Bound<'_, TlsTransport>) -> PyResult<()> {
    let ends = |flow: &mut Flow| flow.phase == Phase::Flushing && !flow.app_is_paused;
    let is_buffer = |flow: &mut Flow| flow.receiver == Receiver::Buffer;
    while read_buffer(slf)? && slf.get().flow.with(slf.py(), ends) {
        // It may have handed the rest to a protocol of another kind.
        if !slf.get().flow.with(slf.py(), is_buffer) {
            return read(slf);
        }
    }
    Ok(())
}

/// True: there may be more than the buffer holds.
fn read_buffer(slf: &Bound<'_, TlsTransport>) -> PyResult<bool> {
    let (py, me) = (slf.py(), slf.get());
    let Some(protocol) = me.protocol(py) else {
        return Ok(false);
    };
    let hint = me.session.unread(py)?;
    let buffer = protocol.method(intern!(py, "get_buffer"), (hint,))?;
    let size = buffer.len()?;
    if size == 0 {
        let message = "get_buffer() returned an empty buffer";
        return Err(PyRuntimeError::new_err(message));
    }
    let filled = {
        let _locked = me.session_lock.enter(py);
        me.session.read_into(py, &buffer, size)
    };
    let Filled { count, more, end } = filled?;
    if more && me.phase(py) == Phase::Wrapped {
        call_soon(slf, slf.getattr(intern!(py, "_step"))?)?;
    }
    if count > 0 {
        protocol.method(intern!(py, "buffer_updated"), (count,))?;
    }
    end_of_reading(slf, end).map(|()| more)
}

/// `close()`.
pub(crate) fn close(slf: &Bound<'_, TlsTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let (before, kept) = me.flow.with(py, |flow| {
        let kept = flow.keeps_end();
        (std::mem::replace(&mut flow.is_closed, true), kept)
    });
    if before {
        // asyncio lets go of the context then, so that a protocol that keeps its transport keeps no context.
        return slf.method(intern!(py, "_forget"), ()).map(drop);
    }
    // The peer has ended, and nobody reads that any more: asyncio's would wait for it.
    if kept {
        finish(slf)
    } else {
        start_shutdown(slf)
    }
}

/// `close()`, or the peer sends no more.
pub(crate) fn start_shutdown(slf: &Bound<'_, TlsTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    match me.phase(py) {
        Phase::Flushing | Phase::Shutdown | Phase::Unwrapped => return Ok(()),
        Phase::Handshake => {
            me.flow.with(py, |flow| flow.is_closed = true);
            return abort(slf, None);
        }
        Phase::Wrapped => {}
    }
    me.flow.with(py, |flow| {
        flow.is_closed = true;
        flow.phase = Phase::Flushing;
    });
    bound_shutdown(slf)?;
    finish(slf)
}

/// From now on the end may take so long.
fn bound_shutdown(slf: &Bound<'_, TlsTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    if me
        .objects
        .with(py, |objects| objects.shutdown_timer.is_some())
    {
        return Ok(());
    }
    let timer = call_later(slf, me.shutdown_limit, "_check_shutdown_timeout")?;
    let before = me
        .objects
        .with(py, |objects| objects.shutdown_timer.replace(timer));
    cancel(py, before)
}

/// What waits goes, and the end after it; once the protocol reads again, where that has not closed.
fn finish(slf: &Bound<'_, TlsTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    read(slf)?;
    if me
        .flow
        .with(py, |flow| flow.phase != Phase::Flushing || flow.keeps_end())
    {
        return Ok(());
    }
    let sealed = seal(slf, usize::MAX).and_then(|_| process(slf));
    if let Err(error) = sealed {
        return or_fatal(slf, Err(error));
    }
    let has_ended = me.flow.with(py, |flow| flow.has_ended);
    if has_ended && let Some(error) = me.session.truncated(py) {
        return end_by(slf, error, BROKEN);
    }
    me.set_phase(py, Phase::Shutdown);
    shut_down(slf)
}

fn shut_down(slf: &Bound<'_, TlsTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let has_ended = me.flow.with(py, |flow| flow.has_ended);
    let done = if has_ended {
        Ok(true)
    } else {
        let _locked = me.session_lock.enter(py);
        me.session.shut_down(py)
    };
    match done {
        Ok(false) => process(slf),
        Ok(true) => {
            process(slf)?;
            // It ends: what is sealed is the transport's below, however much that has.
            send_rest(slf)?;
            call_eof_received(slf)?;
            bound_shutdown(slf)?;
            match me.below(py) {
                Some(below) => call_soon(slf, below.getattr(intern!(py, "close"))?),
                None => Ok(()),
            }
        }
        Err(error) if error.is_instance_of::<PyOSError>(py) => {
            stop_shutdown_timer(slf)?;
            end_by(slf, error, "Fatal error on transport")
        }
        Err(error) => Err(error),
    }
}

fn stop_shutdown_timer(slf: &Bound<'_, TlsTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let timer = me.objects.with(py, |objects| objects.shutdown_timer.take());
    cancel(py, timer)
}

/// `abort()`, or `error` has ended it.
pub(crate) fn abort(
    slf: &Bound<'_, TlsTransport>,
    error: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    send_before(slf)?;
    me.set_phase(py, Phase::Unwrapped);
    match me.below(py) {
        Some(below) => below
            .method(intern!(py, "_force_close"), (error,))
            .map(drop),
        None => Ok(()),
    }
}

/// The stream below has ended. True: the transport below stays open.
pub(crate) fn ended(slf: &Bound<'_, TlsTransport>) -> PyResult<bool> {
    let (py, me) = (slf.py(), slf.get());
    me.flow.with(py, |flow| flow.has_ended = true);
    if me.is_debug(py) {
        slf.method(intern!(py, "_debug"), ("%r received EOF", slf))?;
    }
    let done = match me.phase(py) {
        Phase::Handshake => fail(slf, me.session.cut_short(py)).map(|()| false),
        Phase::Wrapped | Phase::Flushing => {
            me.set_phase(py, Phase::Flushing);
            finish(slf).map(|()| me.flow.with(py, |flow| flow.keeps_end()))
        }
        Phase::Shutdown => shut_down(slf).map(|()| false),
        Phase::Unwrapped => Ok(false),
    };
    if let Err(error) = &done
        && error.is_instance_of::<PyException>(py)
        && let Some(below) = me.below(py)
    {
        below.method(intern!(py, "close"), ())?;
    }
    done
}

/// The transport below is lost.
pub(crate) fn lost(slf: &Bound<'_, TlsTransport>, error: &Bound<'_, PyAny>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let (backlog, tells) = me.flow.with(py, |flow| {
        flow.is_closed = true;
        flow.lost += 1;
        let made = matches!(flow.told, Told::Made | Told::End);
        let tells = made && flow.phase != Phase::Handshake;
        if tells {
            flow.told = Told::Lost;
        }
        flow.phase = Phase::Unwrapped;
        (flow.backlog.take(), tells)
    });
    drop(backlog);
    let protocol = me.objects.with(py, |objects| objects.protocol.take());
    let told = match (protocol.filter(|_| tells), me.event_loop(py)) {
        (Some(protocol), Some(event_loop)) => {
            let callback = protocol.bind(py).getattr(intern!(py, "connection_lost"))?;
            event_loop
                .method(intern!(py, "call_soon"), (callback, error))
                .map(drop)
        }
        _ => Ok(()),
    };
    let error = Some(error).filter(|error| !error.is_none());
    wake_waiter(slf, error)?;
    stop_shutdown_timer(slf)?;
    stop_handshake_timer(slf)?;
    drop(me.objects.with(py, |objects| objects.below.take()));
    drop(me.session.take(py));
    told
}
