//! How it ends: closed when all is sent, or at once; the protocol is told in a later step.

use crate::aio::datagram::flush::{clear, flush};
use crate::aio::datagram::object::DatagramTransport;
use crate::aio::watched::Watched;
use crate::boundary::call::Method;
use crate::io::sys::platform::epoll::Interest;
use pyo3::intern;
use pyo3::prelude::*;

/// `transport.close()`: what was sent leaves first.
pub(crate) fn close(slf: &Bound<'_, DatagramTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    if me
        .flow
        .with(py, |flow| std::mem::replace(&mut flow.is_closing, true))
    {
        return Ok(());
    }
    slf.get().register(slf, |wanted| wanted.readable = false)?;
    flush(slf)?;
    let due = me.flow.with(py, |flow| {
        let due = flow.outgoing.is_empty() && flow.lost == 0;
        flow.lost += u32::from(due);
        due
    });
    if due { lose_soon(slf, None) } else { Ok(()) }
}

/// It ends now; `error` is what the protocol gets. What was sent and never offered to the kernel is offered once, as a transport
/// that sends at once would have done.
pub(crate) fn force_close(
    slf: &Bound<'_, DatagramTransport>,
    error: Option<Bound<'_, PyAny>>,
) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    if me.flow.with(py, |flow| flow.lost > 0) {
        return Ok(());
    }
    flush(slf)?;
    let already = me.flow.with(py, |flow| {
        let already = flow.lost > 0;
        flow.is_blocked = false;
        flow.is_closing = true;
        flow.lost += u32::from(!already);
        already
    });
    if already {
        return Ok(());
    }
    clear(me, py)?;
    slf.get().register(slf, |wanted| *wanted = Interest::NONE)?;
    lose_soon(slf, error)
}

fn lose_soon(slf: &Bound<'_, DatagramTransport>, error: Option<Bound<'_, PyAny>>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let Some(event_loop) = me.event_loop(py) else {
        return Ok(());
    };
    let callback = slf.getattr(intern!(py, "_call_connection_lost"))?;
    event_loop
        .method(intern!(py, "call_soon"), (callback, error))
        .map(drop)
}

/// The protocol is told, and the socket closed, whatever the protocol raises.
pub(crate) fn lose(
    slf: &Bound<'_, DatagramTransport>,
    error: Option<Bound<'_, PyAny>>,
) -> PyResult<()> {
    let told = slf.get().tell_lost(slf.py(), error);
    let released = release(slf);
    told.and(released)
}

fn release(slf: &Bound<'_, DatagramTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let unregistered = slf.get().register(slf, |wanted| *wanted = Interest::NONE);
    if let Some(event_loop) = me.event_loop(py) {
        event_loop
            .get()
            .state
            .forget(py, me.number.get(), slf.as_any());
    }
    let (socket, others) = me.objects.with(py, |objects| {
        let others = (
            objects.parties.take(),
            objects.sender.take(),
            std::mem::take(&mut objects.held),
        );
        (objects.parties.socket.take(), others)
    });
    let closed = match socket {
        Some(socket) => socket.bind(py).method(intern!(py, "close"), ()).map(drop),
        None => Ok(()),
    };
    drop(others);
    clear(me, py)?;
    unregistered.and(closed)
}
