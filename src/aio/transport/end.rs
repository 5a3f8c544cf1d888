//! How a connection ends: closed when all is sent, or at once; the protocol is told in a later step.

use crate::aio::futures::settle;
use crate::aio::object::NativeLoop;
use crate::aio::tls::outgoing::{hand_over, send_before};
use crate::aio::transport::flush::{flush, flush_at_once};
use crate::aio::transport::object::StreamTransport;
use crate::aio::transport::receiver::tls_over;
use crate::aio::watched::Watched;
use crate::boundary::call::Method;
use crate::io::sys::platform;
use crate::io::sys::platform::epoll::Interest;
use crate::io::sys::transfer;
use pyo3::exceptions::PyConnectionError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::IntoPyDict;

/// `transport.close()`: what was written is sent first.
pub(crate) fn close(slf: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    if me
        .flow
        .with(py, |flow| std::mem::replace(&mut flow.is_closing, true))
    {
        return Ok(());
    }
    StreamTransport::stop_reading(slf)?;
    if let Some(tls) = tls_over(me, py) {
        hand_over(&tls)?;
    }
    flush(slf)?;
    let due = me.flow.with(py, |flow| {
        let due = flow.outgoing.is_empty() && flow.lost == 0;
        flow.lost += u32::from(due);
        due
    });
    if due { lose_soon(slf, None) } else { Ok(()) }
}

/// It ends now; `error` is what the protocol gets. What was written and never offered to the kernel is offered once, as a transport
/// that sends at once would have done.
pub(crate) fn force_close(
    slf: &Bound<'_, StreamTransport>,
    error: Option<Bound<'_, PyAny>>,
) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let sends = me.flow.with(py, |flow| flow.lost == 0 && !flow.is_aborted);
    if let Some(tls) = tls_over(me, py).filter(|_| sends) {
        send_before(&tls)?;
    }
    flush_at_once(slf)?;
    let already = me.flow.with(py, |flow| {
        if flow.lost > 0 {
            return true;
        }
        flow.outgoing.clear();
        flow.is_blocked = false;
        flow.is_closing = true;
        flow.is_aborted = true;
        flow.lost += 1;
        false
    });
    if already {
        return Ok(());
    }
    slf.get().register(slf, |wanted| *wanted = Interest::NONE)?;
    lose_soon(slf, error)
}

fn lose_soon(slf: &Bound<'_, StreamTransport>, error: Option<Bound<'_, PyAny>>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let Some(event_loop) = me.event_loop(py) else {
        return Ok(());
    };
    let callback = slf.getattr(intern!(py, "_call_connection_lost"))?;
    let context = me.context(py);
    let context = context.filter(|_| me.objects.with(py, |objects| objects.context_was_given));
    let options = context.map(|context| [("context", context)].into_py_dict(py));
    event_loop
        .call_method(
            intern!(py, "call_soon"),
            (callback, error),
            options.transpose()?.as_ref(),
        )
        .map(drop)
}

/// The protocol is told, and the socket closed, whatever the protocol raises.
pub(crate) fn lose(
    slf: &Bound<'_, StreamTransport>,
    error: Option<Bound<'_, PyAny>>,
) -> PyResult<()> {
    let told = slf.get().tell_lost(slf.py(), error);
    let released = release(slf);
    told.and(released)
}

/// `lingering_in`: the loop in which what was written is seen through.
fn close_socket<'py>(
    slf: &Bound<'py, StreamTransport>,
    socket: Bound<'py, PyAny>,
    lingering_in: Option<Bound<'py, NativeLoop>>,
) -> PyResult<()> {
    let py = socket.py();
    let closed = match lingering_in {
        Some(event_loop) => slf.method(intern!(py, "_linger"), (event_loop, &socket)),
        None => socket.method(intern!(py, "close"), ()),
    };
    let closed = closed.map(drop);
    slf.get()
        .objects
        .with(py, |objects| objects.closed_socket = Some(socket.unbind()));
    closed
}

/// Whether the system would reset the connection for what is unread, or what the peer sends from now on, and so destroy what the
/// peer has not received yet.
fn is_to_linger(me: &StreamTransport, py: Python<'_>) -> bool {
    let Some(socket) = me.descriptor(py) else {
        return false;
    };
    if me.flow.with(py, |flow| flow.is_aborted) {
        return false;
    }
    let resets = matches!(transfer::something_waits(&socket), Ok(true))
        && matches!(platform::unacknowledged(&socket), Ok(1..));
    resets || matches!(platform::unsent(&socket), Ok(1..))
}

fn release(slf: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let unregistered = slf.get().register(slf, |wanted| *wanted = Interest::NONE);
    let event_loop = me.event_loop(py);
    let lingers = is_to_linger(me, py);
    if let Some(event_loop) = &event_loop {
        event_loop
            .get()
            .state
            .forget(py, me.number.get(), slf.as_any());
    }
    let taken = me.objects.with(py, |objects| {
        (
            objects.parties.socket.take(),
            objects.server.take(),
            objects.empty_waiter.take(),
            objects.parties.take(),
        )
    });
    let (socket, server, waiter, parties) = taken;
    let closed = match socket {
        Some(socket) => close_socket(slf, socket.into_bound(py), event_loop.filter(|_| lingers)),
        None => Ok(()),
    };
    let detached = match server {
        Some(server) => slf.method(intern!(py, "_detach"), (server,)).map(drop),
        None => Ok(()),
    };
    if let Some(waiter) = waiter {
        let error = PyConnectionError::new_err("Connection is closed by peer");
        settle(waiter.bind(py), Err(&error))?;
    }
    drop(parties);
    unregistered.and(closed).and(detached)
}
