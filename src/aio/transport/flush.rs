//! Sending what waits.

use crate::aio::fatal::fatal;
use crate::aio::transport::object::{Flow, StreamTransport};
use crate::aio::transport::outgoing::Sent;
use crate::aio::watched::Watched;
use crate::boundary::call::Method;
use crate::boundary::memory;
use crate::io::failure::Failure;
use crate::io::sys::transfer;
use pyo3::intern;
use pyo3::prelude::*;
use std::io::{self, ErrorKind, IoSlice};
use std::net::Shutdown;

/// Sends what waits, unless the kernel takes no more. Of a connection that broke meanwhile it is told once the loop has looked at it: what
/// its peer has sent before goes to the protocol first, as it would have if each write had been sent at once.
pub(crate) fn flush(slf: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let reads = || me.flow.with(py, |flow| flow.reads());
    match attempt(slf)? {
        Some(Failure::Os(error)) if is_over(&error) && reads() && block(slf).is_ok() => {
            me.flow.with(py, |flow| flow.failure = Some(error));
            Ok(())
        }
        Some(failure) => broken(slf, failure),
        None => Ok(()),
    }
}

/// The same, for a write that is sent at once and for what goes before an abort: a failure ends the connection now.
pub(crate) fn flush_at_once(slf: &Bound<'_, StreamTransport>) -> PyResult<()> {
    match attempt(slf)? {
        Some(failure) => broken(slf, failure),
        None => Ok(()),
    }
}

/// The peer has left: nothing more will come than what has.
fn is_over(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
    )
}

fn broken(slf: &Bound<'_, StreamTransport>, failure: Failure) -> PyResult<()> {
    slf.get().flow.with(slf.py(), Flow::break_off);
    let message = "Fatal write error on socket transport";
    fatal(slf, failure.into(), message)
}

/// What it failed with.
fn attempt(slf: &Bound<'_, StreamTransport>) -> PyResult<Option<Failure>> {
    let (py, me) = (slf.py(), slf.get());
    let (blocked, nothing) = me.flow.with(py, |flow| {
        flow.is_dirty = false;
        (flow.is_blocked, flow.sends_nothing())
    });
    if blocked {
        return pause_protocol(slf).map(|()| None);
    }
    let Some(socket) = me.descriptor(py).filter(|_| !nothing) else {
        return Ok(None);
    };
    match me.flow.with(py, |flow| flow.send(py, socket)) {
        Sent::All => Ok(None),
        Sent::Some => {
            block(slf)?;
            pause_protocol(slf).map(|()| None)
        }
        Sent::Failed(error) => Ok(Some(Failure::Os(error))),
    }
}

/// Sends what it can while the step that wrote it goes on, in another thread: the protocol is told of nothing until [`flush`].
pub(crate) fn send_late(slf: &Bound<'_, StreamTransport>) {
    let (py, me) = (slf.py(), slf.get());
    let nothing = me
        .flow
        .with(py, |flow| flow.sends_nothing() || flow.failure.is_some());
    let Some(socket) = me.descriptor(py).filter(|_| !nothing) else {
        return;
    };
    match me.flow.with(py, |flow| flow.outgoing.send(py, socket)) {
        Sent::All => {}
        // Where the selector cannot be told, the flush tries again.
        Sent::Some => drop(block(slf)),
        Sent::Failed(failure) => me.flow.with(py, |flow| flow.failure = Some(failure)),
    }
}

/// The connection fails by `error` where that may be told: nothing is sent before that.
pub(crate) fn fail_late(slf: &Bound<'_, StreamTransport>, error: io::Error) {
    slf.get()
        .flow
        .with(slf.py(), |flow| flow.failure = Some(error));
    // Where the selector cannot be told, the next flush tells it.
    drop(block(slf));
}

/// The kernel takes no more: the selector tells when it does.
fn block(slf: &Bound<'_, StreamTransport>) -> PyResult<()> {
    slf.get().register(slf, |wanted| wanted.writable = true)?;
    slf.get().flow.with(slf.py(), |flow| flow.is_blocked = true);
    Ok(())
}

/// Sends `bytes` behind what waits; what the kernel does not take of them is kept. MemoryError: they are lost.
pub(crate) fn send(slf: &Bound<'_, StreamTransport>, bytes: &[u8]) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let (ended, waits) = me.flow.with(py, |flow| {
        let waits = flow.is_blocked || !flow.outgoing.is_empty();
        (flow.lost > 0 || flow.eof || flow.is_aborted, waits)
    });
    let Some(socket) = me.descriptor(py).filter(|_| !ended) else {
        return Ok(());
    };
    let sent = if waits {
        0
    } else {
        // An error is the next attempt's, which follows.
        transfer::send(&socket, &[IoSlice::new(bytes)], bytes.len()).unwrap_or(0)
    };
    if sent == bytes.len() {
        return Ok(());
    }
    let kept = me.flow.with(py, |flow| {
        let kept = flow.outgoing.push(&bytes[sent..]);
        kept.inspect_err(|_| flow.break_off())
    });
    kept.map_err(memory::error)?;
    flush(slf)?;
    pause_protocol(slf)
}

/// Too much waits: the protocol is told, once.
pub(crate) fn pause_protocol(slf: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let due = me.flow.with(py, |flow| {
        let too_much = flow.outgoing.len() > flow.high_water && flow.failure.is_none();
        let due = too_much && !flow.protocol_is_paused;
        flow.protocol_is_paused |= due;
        due
    });
    if due {
        tell_protocol(slf, "pause_writing")
    } else {
        Ok(())
    }
}

/// Little enough waits: the protocol is told, once.
pub(crate) fn resume_protocol(slf: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let due = me.flow.with(py, |flow| {
        let due = flow.protocol_is_paused && flow.outgoing.len() <= flow.low_water;
        flow.protocol_is_paused &= !due;
        due
    });
    if due {
        tell_protocol(slf, "resume_writing")
    } else {
        Ok(())
    }
}

fn tell_protocol(slf: &Bound<'_, StreamTransport>, name: &str) -> PyResult<()> {
    slf.method(intern!(slf.py(), "_tell_protocol"), (name,))
        .map(drop)
}

/// The peer sees the end of what was written.
pub(crate) fn shut_down(slf: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    match me.descriptor(py) {
        Some(socket) => Ok(socket2::SockRef::from(&socket)
            .shutdown(Shutdown::Write)
            .map_err(Failure::Os)?),
        None => Ok(()),
    }
}
