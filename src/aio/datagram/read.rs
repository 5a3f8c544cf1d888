//! Receiving: what the turn does with a socket that is ready.

use crate::aio::context::run_in;
use crate::aio::datagram::address::sender;
use crate::aio::datagram::errors::tell_error;
use crate::aio::datagram::object::DatagramTransport;
use crate::aio::datagram::writable::on_writable;
use crate::aio::fatal::fatal;
use crate::aio::state::MOST_RECEIVED;
use crate::aio::watched::Watched;
use crate::boundary::call::Method;
use crate::boundary::unfilled;
use crate::io::failure::Failure;
use crate::io::sys::platform::datagrams;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::io::{self, ErrorKind};

/// No IP datagram is larger.
const LARGEST_IP: usize = 64 * 1024;
/// After so many others have their turn.
const MOST: usize = 16;

type Received<'py> = Vec<(Bound<'py, PyBytes>, Bound<'py, PyAny>)>;

/// [`on_ready`] in the transport's context.
pub(crate) fn in_context(slf: &Bound<'_, DatagramTransport>) -> PyResult<()> {
    match slf.get().context(slf.py()) {
        Some(context) => run_in(&context, || on_ready(slf)),
        None => Ok(()),
    }
}

/// Called for what the selector has said, and where something was held back.
pub(crate) fn on_ready(slf: &Bound<'_, DatagramTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let ready = me
        .flow
        .with(py, |flow| std::mem::take(&mut flow.watch.ready));
    let is_lost = || me.flow.with(py, |flow| flow.lost > 0);
    // What has come goes first, as in asyncio; its protocol may raise an exception, which is no end.
    let received = if ready.readable && !is_lost() {
        on_readable(slf)
    } else {
        Ok(())
    };
    let sent = if ready.writable && !is_lost() {
        on_writable(slf)
    } else {
        Ok(())
    };
    received.and(sent)
}

fn on_readable(slf: &Bound<'_, DatagramTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    deliver_held(slf)?;
    for _ in 0..MOST / 4 {
        if !me.flow.with(py, |flow| flow.reads()) {
            // Only now, for most that pause go on before anything comes.
            return slf.get().register(slf, |wanted| wanted.readable = false);
        }
        let (received, is_all) = match receive(slf) {
            Ok(received) => received,
            Err(Stopped::Nothing) => break,
            Err(Stopped::Failed(error)) => return tell_error(slf, Failure::Os(error).into()),
            Err(Stopped::Raised(error)) => {
                return fatal(slf, error, "Fatal read error on datagram transport");
            }
        };
        hold(me, received);
        deliver_held(slf)?;
        if is_all {
            break;
        }
    }
    Ok(())
}

/// Why nothing was received.
enum Stopped {
    /// There is nothing.
    Nothing,
    Failed(io::Error),
    /// An object could not be made.
    Raised(PyErr),
}

/// True: the kernel has no more for now.
fn receive<'py>(slf: &Bound<'py, DatagramTransport>) -> Result<(Received<'py>, bool), Stopped> {
    let (py, me) = (slf.py(), slf.get());
    let (Some(socket), Some(event_loop)) = (me.descriptor(py), me.event_loop(py)) else {
        return Err(Stopped::Nothing);
    };
    let state = &event_loop.get().state;
    let size = match me.family {
        libc::AF_UNIX => MOST_RECEIVED,
        _ => LARGEST_IP,
    };
    let mut buffer = state.take_buffer(py);
    let mut raw = Vec::new();
    let received = datagrams::receive(socket, &mut buffer, size, |bytes, from| {
        raw.push((unfilled::copy(py, bytes), from));
    });
    state.put_buffer(py, buffer);
    match received {
        Ok(count) => {
            let with_sender =
                |(bytes, from): (PyResult<_>, _)| Ok((bytes?, sender(me, py, &from)?));
            let all = raw.into_iter().map(with_sender).collect::<PyResult<_>>();
            let is_all = count < MOST_RECEIVED / size;
            Ok((all.map_err(Stopped::Raised)?, is_all))
        }
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            Err(Stopped::Nothing)
        }
        Err(error) => Err(Stopped::Failed(error)),
    }
}

fn hold(me: &DatagramTransport, received: Received<'_>) {
    for (bytes, from) in received {
        let py = bytes.py();
        let datagram = (bytes.into_any().unbind(), from.unbind());
        me.objects
            .with(py, |objects| objects.held.push_back(datagram));
    }
}

/// One after the other, as long as the protocol reads. An exception is not the end, and leaves the others for the next turn.
fn deliver_held(slf: &Bound<'_, DatagramTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    while me.flow.with(py, |flow| flow.reads()) {
        let next = me.objects.with(py, |objects| objects.held.pop_front());
        let (Some((bytes, from)), Some(protocol)) = (next, me.protocol(py)) else {
            break;
        };
        let told = protocol.method(intern!(py, "datagram_received"), (bytes, from));
        if let Err(error) = told {
            DatagramTransport::deliver_soon(slf);
            return Err(error);
        }
    }
    Ok(())
}
