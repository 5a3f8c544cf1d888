//! What was written is sealed and sent: when the callbacks of the turn have run, at once where it is much.

use crate::aio::data::bytes_of;
use crate::aio::tls::object::{Phase, TlsTransport};
use crate::aio::tls::outcome::{Sealed, Written};
use crate::aio::tls::told::{control_writing, or_fatal};
use crate::aio::transport::flush;
use crate::aio::transport::object::StreamTransport;
use crate::boundary::call::Method;
use crate::boundary::{memory, unfilled};
use crate::io::failure::no_memory;
use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use std::sync::atomic::Ordering::Relaxed;

/// So many plain bytes are sealed before what they came to is sent: more would leave the processor's cache.
const ROUND: usize = 128 * 1024;
/// More than so is sealed at once, as the transport below sends what is more than its high-water mark at once.
const MUCH: usize = 64 * 1024;

/// `transport.write(data)`.
pub(crate) fn write(slf: &Bound<'_, TlsTransport>, data: &Bound<'_, PyAny>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let data = &bytes_of(data, |name| {
        format!("data: expecting a bytes-like instance, got {name}")
    })?;
    if data.as_bytes().is_empty() {
        return Ok(());
    }
    let drops = me.flow.with(py, |flow| {
        if !flow.drops_writes() {
            return flow.backlog.push(py, data).map(|()| None);
        }
        flow.lost += 1;
        Ok(Some(flow.lost))
    });
    match drops.map_err(memory::error)? {
        None => send_soon(slf, data.as_bytes().len()),
        // asyncio warns from the sixth on.
        Some(6..) => slf.method(intern!(py, "_warn_of_writes"), ()).map(drop),
        Some(_) => Ok(()),
    }
}

fn send_soon(slf: &Bound<'_, TlsTransport>, count: usize) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let Some(event_loop) = me.event_loop(py) else {
        return Ok(());
    };
    let state = &event_loop.get().state;
    let (wrapped, much, dirty) = me.flow.with(py, |flow| {
        let wrapped = flow.phase == Phase::Wrapped;
        (wrapped, flow.backlog.len() > MUCH, flow.is_dirty)
    });
    if !wrapped {
        return Ok(());
    }
    if much || !state.calling.load(Relaxed) {
        let sent = process(slf);
        return or_fatal(slf, sent);
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

/// The callbacks that wrote have returned.
pub(crate) fn flush(slf: &Bound<'_, TlsTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let due = me.flow.with(py, |flow| {
        flow.is_dirty = false;
        flow.has_unsealed()
    });
    if due { go_on(slf) } else { Ok(()) }
}

/// The transport below takes more.
pub(crate) fn go_on(slf: &Bound<'_, TlsTransport>) -> PyResult<()> {
    let sent = process(slf);
    or_fatal(slf, sent)
}

/// The transport below ends at once: what was written goes before, as it would have if each write had been sent at once.
/// What goes wrong here is told by the next attempt, if there is one.
pub(crate) fn send_before(slf: &Bound<'_, TlsTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    send_what_is_above(slf)?;
    if !me.flow.with(py, |flow| flow.has_unsealed()) {
        return Ok(());
    }
    match process(slf) {
        Err(error) if error.is_instance_of::<PyException>(py) => Ok(()),
        result => result,
    }
}

/// The transport below closes, and sends all that it has before.
pub(crate) fn hand_over(slf: &Bound<'_, TlsTransport>) -> PyResult<()> {
    send_what_is_above(slf)?;
    if !slf.get().flow.with(slf.py(), |flow| flow.seals()) {
        return Ok(());
    }
    let handed = seal(slf, usize::MAX).and_then(|_| send_rest(slf));
    or_fatal(slf, handed)
}

/// With TLS over TLS.
fn send_what_is_above(slf: &Bound<'_, TlsTransport>) -> PyResult<()> {
    match slf.get().protocol(slf.py()) {
        Some(above) => above.cast::<TlsTransport>().map_or(Ok(()), send_before),
        None => Ok(()),
    }
}

/// The step that wrote goes on for long: another thread sends what it can, and tells nobody.
pub(crate) fn send_late(slf: &Bound<'_, TlsTransport>) {
    let (py, me) = (slf.py(), slf.get());
    let takes = me.flow.with(py, |flow| {
        flow.phase == Phase::Wrapped && !flow.writing_is_paused
    });
    let (Some(below), Some(_locked)) = (me.below(py), me.session_lock.try_enter(py)) else {
        return;
    };
    let Ok(native) = below.cast::<StreamTransport>() else {
        return;
    };
    // What goes wrong does so once more at the turn's end, and is told then.
    if takes
        && !is_blocked(&below)
        && seal_locked(slf, ROUND).is_ok()
        && let Ok(Some(sealed)) = me.session.take_sealed(py)
    {
        let kept = native
            .get()
            .flow
            .with(py, |flow| flow.outgoing.push(sealed.bytes()));
        me.session.give_back(py, sealed);
        match kept {
            Ok(()) => flush::send_late(native),
            Err(_) => flush::fail_late(native, no_memory()),
        }
    }
}

/// Seals and sends what waits, unless the transport below has enough.
pub(crate) fn process(slf: &Bound<'_, TlsTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let mut unsent = 0;
    while let Some(below) = me.below(py) {
        let (wrapped, paused, waits) = me.flow.with(py, |flow| {
            let wrapped = flow.phase == Phase::Wrapped;
            (wrapped, flow.writing_is_paused, flow.has_unsealed())
        });
        if paused || wrapped && is_blocked(&below) {
            unsent = me.session.unsent(py)?;
            break;
        }
        let goes_on = waits && seal(slf, ROUND)?;
        if !send_sealed(slf, &below)? || !goes_on {
            break;
        }
    }
    control_writing(slf, unsent)
}

/// Seals what waits, at most `most` bytes of it. False: the session wants to receive first, or nothing is left.
pub(crate) fn seal(slf: &Bound<'_, TlsTransport>, most: usize) -> PyResult<bool> {
    let _locked = slf.get().session_lock.enter(slf.py());
    seal_locked(slf, most)
}

fn seal_locked(slf: &Bound<'_, TlsTransport>, most: usize) -> PyResult<bool> {
    let (py, me) = (slf.py(), slf.get());
    let mut left = most;
    while left > 0 {
        let piece = me
            .flow
            .with(py, |flow| flow.backlog.pop(py, left.min(ROUND)));
        let Some(piece) = piece else {
            return Ok(false);
        };
        left = left.saturating_sub(piece.bytes(py).len());
        let count = match me.session.write(py, &piece) {
            Ok(Written::All) => continue,
            Ok(Written::Some(count)) => count,
            Err(error) => {
                // It may be for want of memory, and all go well with the next: nothing is to be missing before that.
                me.flow.with(py, |flow| flow.backlog.put_back(piece, 0));
                return Err(error);
            }
        };
        me.flow.with(py, |flow| flow.backlog.put_back(piece, count));
        if count == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Hands what is sealed to the transport below. False: there was nothing.
fn send_sealed(slf: &Bound<'_, TlsTransport>, below: &Bound<'_, PyAny>) -> PyResult<bool> {
    let (py, me) = (slf.py(), slf.get());
    let taken = {
        let _locked = me.session_lock.enter(py);
        me.session.take_sealed(py)
    };
    let Some(sealed) = taken? else {
        return Ok(false);
    };
    match below.cast::<StreamTransport>() {
        Ok(native) => flush::send(native, sealed.bytes())?,
        Err(_) => {
            let object = match &sealed {
                Sealed::Object(object) => object.clone(),
                Sealed::Bytes(bytes) => unfilled::copy(py, bytes)?,
            };
            below.method(intern!(py, "write"), (object,))?;
        }
    }
    me.session.give_back(py, sealed);
    Ok(true)
}

/// The same, whatever the transport below has said of writing: it is to end.
pub(crate) fn send_rest(slf: &Bound<'_, TlsTransport>) -> PyResult<()> {
    match slf.get().below(slf.py()) {
        Some(below) => send_sealed(slf, &below).map(drop),
        None => Ok(()),
    }
}

/// The kernel takes no more from the transport below, until it says so.
fn is_blocked(below: &Bound<'_, PyAny>) -> bool {
    below
        .cast::<StreamTransport>()
        .is_ok_and(|native| native.get().flow.with(below.py(), |flow| flow.is_blocked))
}
