//! `socket.detach()`: the connection is given away, with what was received and not delivered.

use crate::boundary::condition;
use crate::boundary::{memory, unfilled};
use crate::io::conn::link::Link;
use crate::io::conn::loan::Owner;
use crate::io::event::Event;
use crate::io::extend::extend;
use crate::io::failure::Failure;
use crate::io::inbox::arena::Arena;
use crate::io::keys::Key;
use crate::io::sys::platform;
use crate::shared::in_hand::InHand;
use crate::shared::loop_state::LoopState;
use crate::socket::object::Socket;
use crate::socket::phase::Phase;
use crate::socket::plain;
use crate::socket::undelivered::Undelivered;
use pyo3::exceptions::{PyBlockingIOError, PyMemoryError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{IntoPyDict, PyBytes};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::TryReserveError;
use std::time::{Duration, Instant};

/// How long another thread may need for what it does with the connection at the moment.
const PATIENCE: Duration = Duration::from_secs(5);
/// Looks whether it is done.
const LOOK: Duration = Duration::from_micros(50);

static SOCKET: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// A piece of what was received.
enum Piece {
    Copied(Vec<u8>),
    Object(Py<PyBytes>),
    Room(Owner, usize),
}

/// The connection as a `socket.socket`, and the bytes that were received and not delivered.
pub fn detach<'py>(slf: &Bound<'py, Socket>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyBytes>)> {
    let (py, socket) = (slf.py(), slf.get());
    check(slf)?;
    let Some(wire) = socket.link.wire() else {
        // Its failure is on the way to the event_cb.
        return Err(condition::not_connected(slf));
    };
    let copy = platform::copy(wire.socket()).map_err(Failure::Os)?;
    drop(wire);
    let theirs = SOCKET.import(py, "socket", "socket")?.call(
        (),
        Some(&[(intern!(py, "fileno"), platform::number(&copy))].into_py_dict(py)?),
    )?;
    std::mem::forget(copy);
    if let Err(error) = hand_to_the_kernel(slf) {
        theirs.call_method0(intern!(py, "close"))?;
        return Err(error);
    }
    let undelivered = std::mem::take(&mut socket.state.lock().undelivered);
    Socket::end_given_away(slf);
    let (link, hub) = (&socket.link, &socket.event_loop.hub);
    py.detach(|| wait(|| hub.reactor.task_is_done_with(link)));
    let unread = unread(py, &socket.event_loop, link.key, undelivered);
    let unread = unread.inspect_err(|_| drop(theirs.call_method0(intern!(py, "close"))))?;
    // Only now: the mode is one for both descriptors.
    let timeout = theirs.call_method0(intern!(py, "gettimeout"))?;
    theirs.call_method1(intern!(py, "settimeout"), (timeout,))?;
    Ok((theirs, unread))
}

/// Whether it can be detached here.
fn check(slf: &Bound<'_, Socket>) -> PyResult<()> {
    let elsewhere = "a socket is detached by a callback of its event loop";
    plain::check(slf, &[Phase::Open, Phase::HalfOpen], elsewhere, || {
        PyValueError::new_err("a socket that speaks TLS cannot be detached: its session stays here")
    })
}

/// Sends what was written. What the kernel does not take is a `BlockingIOError`.
fn hand_to_the_kernel(slf: &Bound<'_, Socket>) -> PyResult<()> {
    let (py, socket) = (slf.py(), slf.get());
    let link = &socket.link;
    let until = Instant::now() + PATIENCE;
    loop {
        link.flush(&socket.event_loop.hub);
        // Its failure waits behind what was received, or is on the way.
        if link.is_broken() {
            return Err(condition::not_connected(slf));
        }
        if link.nothing_to_send() {
            return Ok(());
        }
        // Another thread sends at the moment, or the task was told to and has not run yet.
        let comes = link.is_being_sent() && has_room(link);
        if !comes || Instant::now() > until {
            let left = link.write_buffer_size();
            return Err(PyBlockingIOError::new_err((
                libc::EAGAIN,
                format!("{left} bytes that were written are not sent yet"),
            )));
        }
        socket.event_loop.hub.reactor.kick_helper();
        py.detach(|| std::thread::sleep(LOOK));
        Socket::check_open(slf)?;
    }
}

/// Whether the kernel takes more.
fn has_room(link: &Link) -> bool {
    let Some(wire) = link.wire() else {
        return false;
    };
    let mut polled = [PollFd::new(wire.socket(), PollFlags::OUT)];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    matches!(poll(&mut polled, Some(&now)), Ok(1..))
}

fn wait(done: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !done() && Instant::now() < until {
        std::thread::sleep(LOOK);
    }
}

/// What was held back, then what this turn has still to dispatch, then what is queued. MemoryError: it is lost.
fn unread<'py>(
    py: Python<'py>,
    event_loop: &LoopState,
    key: Key,
    undelivered: impl IntoIterator<Item = Undelivered>,
) -> PyResult<Bound<'py, PyBytes>> {
    let mut pieces = Vec::new();
    for undelivered in undelivered {
        if let Undelivered::Data(data) = undelivered {
            pieces.push(Piece::Object(data));
        }
    }
    let mut taken = Ok(());
    InHand::look(|events, bytes| taken = take_out(events, bytes, key, &mut pieces));
    let queue = &event_loop.hub.inbox.queue;
    let taken =
        taken.and_then(|()| queue.look(|events, bytes| take_out(events, bytes, key, &mut pieces)));
    let (mut unread, mut lacks) = (Vec::new(), taken.is_err());
    for piece in pieces {
        let mut add = |bytes: &[u8]| lacks |= memory::extend(&mut unread, bytes).is_err();
        match piece {
            Piece::Copied(bytes) => add(&bytes),
            Piece::Object(data) => add(data.as_bytes(py)),
            Piece::Room(owner, count) => {
                event_loop.hub.inbox.memory.taken(count);
                match event_loop.buffers.received(py, owner, count) {
                    Ok(Some(data)) => add(data.as_bytes()),
                    Ok(None) => {}
                    Err(_) => lacks = true,
                }
            }
        }
    }
    if lacks {
        return Err(PyMemoryError::new_err("no memory for what was received"));
    }
    unfilled::copy(py, &unread)
}

/// No Python here: the queue is locked.
fn take_out(
    events: &mut [Event],
    bytes: &Arena,
    key: Key,
    pieces: &mut Vec<Piece>,
) -> Result<(), TryReserveError> {
    for event in events {
        pieces.try_reserve(1)?;
        match *event {
            // It stays, to be counted as taken when its turn comes: its socket is gone by then.
            Event::Data(of, place) if of == key => {
                let mut copy = Vec::new();
                extend(&mut copy, bytes.get(place))?;
                pieces.push(Piece::Copied(copy));
            }
            Event::Filled {
                key: of,
                owner,
                count,
            } if of == key => {
                pieces.push(Piece::Room(owner, count as usize));
                *event = Event::Nudge;
            }
            _ => {}
        }
    }
    Ok(())
}
