//! The loop of callbacks that lives in an asyncio loop: it takes a turn where that waits, and after each step that left it something to
//! do. One with threads of its own takes them when its descriptor says so.

use crate::aio::object::NativeLoop;
use crate::event_loop::object::EventLoop;
use crate::event_loop::open_loops;
use crate::event_loop::stages;
use crate::io::runtime::driver::Wait;
use crate::shared::loop_state::LoopState;
use pyo3::prelude::*;
use std::time::{Duration, Instant};

/// Has it take a turn, if what ran before has written, posted or set a timer that is due.
#[inline]
pub(crate) fn serve(event_loop: &Bound<'_, NativeLoop>) -> PyResult<()> {
    match get(event_loop) {
        Some(guest) if is_due(guest.get()) => take_turn(&guest),
        _ => Ok(()),
    }
}

fn take_turn(guest: &Bound<'_, EventLoop>) -> PyResult<()> {
    if guest.get().bell.get().is_some() {
        stages::pump(guest, Some(Duration::ZERO)).map(drop)
    } else {
        stages::serve_guest(guest)
    }
}

/// The one in whose runtime the loop waits.
#[inline]
pub(crate) fn sharing_runtime<'py>(
    event_loop: &Bound<'py, NativeLoop>,
) -> Option<Bound<'py, EventLoop>> {
    let guest = get(event_loop)?;
    let waits = guest.get().bell.get().is_none() && !guest.get().state.is_forked();
    waits.then_some(guest)
}

/// Waits there, and has it take a turn. Whether something in the loop's selector has become ready.
pub(crate) fn wait(guest: &Bound<'_, EventLoop>, wait: Wait) -> PyResult<bool> {
    stages::turn_while_host_waits(guest, wait)
}

/// Whether this thread is inside a loop of callbacks that runs by itself, so that no asyncio loop can.
pub(crate) fn is_inside_another(py: Python<'_>) -> bool {
    let current = LoopState::current_here().and_then(|state| open_loops::object(py, &state));
    let current = current.and_then(|current| current.cast_into::<EventLoop>().ok());
    current.is_some_and(|current| {
        let policy = current.get().policy.get();
        policy.is_some_and(|policy| policy.owns_thread)
    })
}

/// How long until its next timer.
pub(crate) fn rest(event_loop: &Bound<'_, NativeLoop>) -> Option<Duration> {
    let due = get(event_loop)?.get().state.timers.next()?;
    Some(due.saturating_duration_since(Instant::now()))
}

#[inline]
fn get<'py>(event_loop: &Bound<'py, NativeLoop>) -> Option<Bound<'py, EventLoop>> {
    let callbacks = &event_loop.get().callbacks;
    callbacks.held(event_loop.py(), |guest| guest)
}

fn is_due(guest: &EventLoop) -> bool {
    let state = &guest.state;
    let timer_is_due = || state.timers.next().is_some_and(|due| due <= Instant::now());
    !state.is_forked() && (state.has_own_work() || timer_is_due())
}
