//! The events that a turn has still to dispatch, where a callback of that turn can find them.

use crate::io::Event;
use crate::io::arena::Arena;
use crate::io::queue::Batch;
use std::cell::{Cell, RefCell};

thread_local! {
    /// Of the loop that takes a turn in this thread: within a turn there is no other.
    static IN_HAND: InHand = InHand::default();
}

/// See the module's page. Borrowed for moments in which no Python runs, but for `bytes`, which is read only then.
#[derive(Default)]
pub struct InHand {
    /// In their order; what was dispatched is a `Nudge`.
    pub events: RefCell<Vec<Event>>,
    /// The bytes that they point into.
    pub bytes: RefCell<Arena>,
    /// How many were dispatched.
    pub dispatched: Cell<usize>,
}

impl InHand {
    /// Dispatches `batch`, of which `dispatched` are done, by `dispatch`.
    pub fn hold<R>(
        batch: &mut Batch<Event>,
        dispatched: &mut usize,
        dispatch: impl FnOnce(&Self) -> R,
    ) -> R {
        IN_HAND.with(|hand| {
            hand.events.replace(std::mem::take(&mut batch.events));
            hand.bytes.replace(std::mem::take(&mut batch.bytes));
            hand.dispatched.set(*dispatched);
            let result = dispatch(hand);
            batch.events = hand.events.take();
            batch.bytes = hand.bytes.take();
            *dispatched = hand.dispatched.get();
            result
        })
    }

    /// Takes the next one out.
    pub fn next(&self) -> Event {
        let at = self.dispatched.get();
        self.dispatched.set(at + 1);
        std::mem::replace(&mut self.events.borrow_mut()[at], Event::Nudge)
    }

    /// Looks at what this thread has still to dispatch.
    pub fn look<R>(look: impl FnOnce(&mut [Event], &Arena) -> R) -> R {
        IN_HAND.with(|hand| {
            let mut events = hand.events.borrow_mut();
            let from = hand.dispatched.get().min(events.len());
            look(&mut events[from..], &hand.bytes.borrow())
        })
    }
}
