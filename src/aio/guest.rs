//! The loop of callbacks that lives in an asyncio loop: it takes a turn when its descriptor says so, and after each step that left it
//! something to do.

use crate::aio::object::NativeLoop;
use crate::event_loop::object::EventLoop;
use crate::event_loop::stages;
use pyo3::prelude::*;
use std::time::{Duration, Instant};

/// Has it take a turn, if what ran before has written, posted or set a timer that is due.
#[inline]
pub(crate) fn serve(event_loop: &Bound<'_, NativeLoop>) -> PyResult<()> {
    match get(event_loop) {
        Some(guest) if is_due(guest.get()) => stages::pump(&guest, Some(Duration::ZERO)).map(drop),
        _ => Ok(()),
    }
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
