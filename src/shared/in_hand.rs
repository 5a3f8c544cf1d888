//! The events that a turn has still to dispatch, where a callback of that turn can find them.

use crate::boundary::unfilled;
use crate::io::event::Event;
use crate::io::inbox::arena::{Arena, ByteRange};
use crate::io::inbox::queue::{Batch, Queue};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use scoped_tls::scoped_thread_local;
use std::cell::{Cell, RefCell};

// Of the loop that takes a turn in this thread: within a turn there is no other.
scoped_thread_local!(static IN_HAND: InHand);

/// See the module's page. Borrowed for moments in which no Python code runs.
#[derive(Default)]
pub struct InHand {
    /// What was taken from the queue; an event that was dispatched is a `Nudge`.
    batch: RefCell<Batch<Event>>,
    /// How many of its events were.
    dispatched: Cell<usize>,
}

impl InHand {
    /// How many events it has, dispatched or not.
    pub fn len(&self) -> usize {
        self.batch.borrow().events.len()
    }

    /// Whether nothing came, not even a wake-up.
    pub fn is_empty(&self) -> bool {
        self.batch.borrow().is_empty()
    }

    /// Whether all was dispatched.
    pub fn is_done(&self) -> bool {
        self.dispatched.get() == self.len()
    }

    /// Whether nothing was dispatched yet.
    pub fn is_fresh(&self) -> bool {
        self.dispatched.get() == 0
    }

    /// Takes all that is queued; what it had is done.
    pub fn refill(&mut self, queue: &Queue<Event>) {
        queue.swap(self.batch.get_mut());
    }

    /// After a turn: the allocations of what is done serve the next batch.
    pub fn recycle(&mut self) {
        let batch = self.batch.get_mut();
        if self.dispatched.get() == batch.events.len() {
            batch.recycle();
            self.dispatched.set(0);
        }
    }

    /// Takes the next event out.
    pub fn next(&self) -> Option<Event> {
        let at = self.dispatched.get();
        let event = std::mem::replace(self.batch.borrow_mut().events.get_mut(at)?, Event::Nudge);
        self.dispatched.set(at + 1);
        Some(event)
    }

    /// The bytes at `place`, for Python, which may have no memory for them. Those before it are done with.
    pub fn bytes<'py>(&self, py: Python<'py>, place: ByteRange) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = &mut self.batch.borrow_mut().bytes;
        bytes.give_back_before(place);
        unfilled::copy(py, bytes.get(place))
    }

    /// Has callbacks of `dispatch` find it.
    pub fn hold<R>(&self, dispatch: impl FnOnce() -> R) -> R {
        IN_HAND.set(self, dispatch)
    }

    /// Looks at what this thread has still to dispatch; outside of a turn that is nothing.
    pub fn look(look: impl FnOnce(&mut [Event], &Arena)) {
        if !IN_HAND.is_set() {
            return;
        }
        IN_HAND.with(|hand| {
            let batch = &mut *hand.batch.borrow_mut();
            let from = hand.dispatched.get().min(batch.events.len());
            look(&mut batch.events[from..], &batch.bytes);
        });
    }
}
