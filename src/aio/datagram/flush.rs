//! Sending what waits.

use crate::aio::datagram::errors::tell_error;
use crate::aio::datagram::object::{Datagram, DatagramTransport, Flow, To};
use crate::aio::datagram::rules::size_of;
use crate::aio::fatal::fatal;
use crate::aio::watched::Watched;
use crate::boundary::call::Method;
use crate::io::failure::Failure;
use crate::io::sys::platform::datagrams::{MOST_SENT, send_to_each, send_to_peer};
use crate::io::sys::platform::epoll::Interest;
use pyo3::exceptions::{PyBlockingIOError, PyInterruptedError, PyOSError};
use pyo3::intern;
use pyo3::prelude::*;
use std::io::{self, ErrorKind};
use std::os::fd::BorrowedFd;

/// What became of the first ones.
enum Sent {
    /// Nothing is left.
    All,
    /// So many are gone.
    Some(usize),
    /// The kernel takes no more for now.
    Blocked,
    /// The first one cannot be sent.
    Failed(Datagram, io::Error),
    /// The first one's address is for Python's socket to read.
    Python(Datagram),
}

/// Sends what waits, unless the kernel takes no more.
pub(crate) fn flush(slf: &Bound<'_, DatagramTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let (flushing, blocked) = me.flow.with(py, |flow| {
        flow.is_dirty = false;
        let flushing = std::mem::replace(&mut flow.is_flushing, true);
        (flushing, flow.is_blocked)
    });
    if flushing {
        return Ok(());
    }
    let told = tell_failures(slf);
    let sent = match told {
        Ok(()) if !blocked => send_all(slf),
        told => told,
    };
    let left = me.flow.with(py, |flow| {
        flow.is_flushing = false;
        !flow.outgoing.is_empty() && !flow.is_blocked
    });
    if left {
        DatagramTransport::run_soon(slf, Interest::WRITABLE);
    }
    sent?;
    pause_protocol(slf)
}

/// Those that there are now: a protocol that answers each error by another would go on for ever.
fn send_all(slf: &Bound<'_, DatagramTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let mut left = me.flow.with(py, |flow| flow.outgoing.len());
    while left > 0 {
        let Some(socket) = me.descriptor(py) else {
            return clear(me, py);
        };
        let sent = me.flow.with(py, |flow| send_some(py, flow, socket, left));
        match sent {
            Sent::All => return Ok(()),
            Sent::Some(count) => left = left.saturating_sub(count),
            Sent::Blocked => return block(slf),
            Sent::Failed(datagram, error) => {
                drop(datagram);
                left -= 1;
                tell_error(slf, Failure::Os(error).into())?;
            }
            Sent::Python(datagram) => {
                left -= 1;
                send_by_python(slf, datagram)?;
                if me.flow.with(py, |flow| flow.is_blocked) {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// Of what was sent while its step went on.
fn tell_failures(slf: &Bound<'_, DatagramTransport>) -> PyResult<()> {
    let failures = slf
        .get()
        .flow
        .with(slf.py(), |flow| std::mem::take(&mut flow.failures));
    for error in failures {
        tell_error(slf, Failure::Os(error).into())?;
    }
    Ok(())
}

/// Sends what it can while the step that sent it goes on, in another thread: the protocol is told of nothing until [`flush`].
pub(crate) fn send_late(slf: &Bound<'_, DatagramTransport>) {
    let (py, me) = (slf.py(), slf.get());
    while let Some(socket) = me.descriptor(py) {
        let sent = me.flow.with(py, |flow| {
            let first = flow.outgoing.front()?;
            let may = !matches!(first.to, To::Object(_)) && !flow.is_blocked && !flow.is_flushing;
            may.then(|| send_some(py, flow, socket, MOST_SENT))
        });
        match sent {
            Some(Sent::Some(_)) => {}
            Some(Sent::Failed(datagram, error)) => {
                drop(datagram);
                me.flow.with(py, |flow| flow.failures.push(error));
            }
            // Where the selector cannot be told, the flush tries again.
            Some(Sent::Blocked) => return drop(block(slf)),
            Some(Sent::All | Sent::Python(_)) | None => return,
        }
    }
}

/// What waits is dropped.
pub(crate) fn clear(me: &DatagramTransport, py: Python<'_>) -> PyResult<()> {
    let dropped = me.flow.with(py, |flow| {
        flow.size = 0;
        std::mem::take(&mut flow.outgoing)
    });
    drop(dropped);
    Ok(())
}

fn block(slf: &Bound<'_, DatagramTransport>) -> PyResult<()> {
    slf.get().register(slf, |wanted| wanted.writable = true)?;
    slf.get().flow.with(slf.py(), |flow| flow.is_blocked = true);
    Ok(())
}

fn pop(py: Python<'_>, flow: &mut Flow) -> Option<Datagram> {
    let first = flow.outgoing.pop_front()?;
    flow.size -= size_of(py, &first);
    Some(first)
}

/// Those at the front that go the same way. Whose objects are dropped here are bytes.
fn send_some(py: Python<'_>, flow: &mut Flow, socket: BorrowedFd<'_>, most: usize) -> Sent {
    let result = match flow.outgoing.front() {
        None => return Sent::All,
        // One by one: an error of one before is told by the next, and lost where that is not the first of a call.
        Some(Datagram { data, to: To::Peer }) => {
            send_to_peer(socket, data.as_bytes(py)).map(|()| 1)
        }
        Some(Datagram {
            to: To::Address(_), ..
        }) => send_to_addresses(py, flow, socket, most),
        Some(Datagram {
            to: To::Object(_), ..
        }) => return pop(py, flow).map_or(Sent::All, Sent::Python),
    };
    match result {
        Ok(count) => {
            for _ in 0..count {
                drop(pop(py, flow));
            }
            Sent::Some(count)
        }
        Err(error) if error.kind() == ErrorKind::Interrupted => Sent::Some(0),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Sent::Blocked,
        Err(error) => pop(py, flow).map_or(Sent::All, |first| Sent::Failed(first, error)),
    }
}

fn send_to_addresses(
    py: Python<'_>,
    flow: &Flow,
    socket: BorrowedFd<'_>,
    most: usize,
) -> io::Result<usize> {
    let with_address = |datagram: &'_ Datagram| match &datagram.to {
        To::Address(_) => true,
        To::Peer | To::Object(_) => false,
    };
    let run = flow.outgoing.iter().take_while(|it| with_address(it));
    let run: Vec<_> = run
        .take(most.min(MOST_SENT))
        .filter_map(|datagram| match &datagram.to {
            To::Address(address) => Some((datagram.data.as_bytes(py), address)),
            To::Peer | To::Object(_) => None,
        })
        .collect();
    send_to_each(socket, &run)
}

/// It looks names up, and says what is wrong with an address.
fn send_by_python(slf: &Bound<'_, DatagramTransport>, datagram: Datagram) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let Some(socket) = me.held(py, |parties| &parties.socket) else {
        return Ok(());
    };
    let To::Object(address) = &datagram.to else {
        return Ok(());
    };
    let sent = socket.method(intern!(py, "sendto"), (&datagram.data, address));
    let Err(error) = sent else {
        return Ok(());
    };
    if error.is_instance_of::<PyBlockingIOError>(py)
        || error.is_instance_of::<PyInterruptedError>(py)
    {
        let size = size_of(py, &datagram);
        me.flow.with(py, |flow| {
            flow.size += size;
            flow.outgoing.push_front(datagram);
        });
        return block(slf);
    }
    if error.is_instance_of::<PyOSError>(py) {
        return tell_error(slf, error);
    }
    fatal(slf, error, "Fatal write error on datagram transport")
}

/// Too much waits: the protocol is told, once.
pub(crate) fn pause_protocol(slf: &Bound<'_, DatagramTransport>) -> PyResult<()> {
    let due = slf.get().flow.with(slf.py(), |flow| {
        let due = !flow.protocol_is_paused && flow.size > flow.high_water;
        flow.protocol_is_paused |= due;
        due
    });
    if due {
        DatagramTransport::tell_protocol(slf, "pause_writing")
    } else {
        Ok(())
    }
}
