//! The event queue: the one place where the I/O side and the pump meet.
//!
//! Producers are Tokio tasks on whichever thread drives, and other threads that nudge the pump; the one consumer is
//! the pump, which takes everything at once by swapping in an empty [`Batch`]. The allocations of a batch are kept, but for what a
//! burst took beyond the usual, so a small message costs no allocation. FIFO as a whole, hence for each socket; urgent events have a lane of
//! their own ahead of the rest. The queue itself has no bound: [`crate::io::inbox::flow_control`] bounds what each connection may
//! have in it.
//!
//! Rule: nothing here touches Python, and no waker is woken while the lock is held.

use crate::io::inbox::arena::{Arena, ByteRange, Chunk};
use crate::io::sync::{AtomicBool, Mutex, Ordering};
use std::collections::TryReserveError;
use std::task::{Context, Poll, Waker};

/// Room for so many events is kept for the next batch; the rest of a burst's is given back.
const KEPT_EVENTS: usize = 32 * 1024;

/// What was queued since the last swap.
#[derive(Debug)]
pub struct Batch<E> {
    /// Events that go ahead of all others.
    pub urgent: Vec<E>,
    /// Events in the order in which they happened.
    pub events: Vec<E>,
    /// The received bytes that data events point into.
    pub bytes: Arena,
    /// Received bytes that lie elsewhere.
    pub elsewhere: usize,
}

impl<E> Default for Batch<E> {
    fn default() -> Self {
        Self {
            urgent: Vec::new(),
            events: Vec::new(),
            bytes: Arena::default(),
            elsewhere: 0,
        }
    }
}

impl<E> Batch<E> {
    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.urgent.is_empty()
    }

    /// Empties it for the next swap and keeps its allocations, unless they grew large in a burst.
    pub fn recycle(&mut self) {
        self.urgent.clear();
        self.urgent.shrink_to(KEPT_EVENTS);
        self.events.clear();
        self.events.shrink_to(KEPT_EVENTS);
        self.bytes.clear();
        self.elsewhere = 0;
    }
}

struct Inner<E> {
    batch: Batch<E>,
    /// The pump's, which is the same each time it sleeps, so it is kept.
    sleeper: Option<Waker>,
}

/// See the module's page. `E` is [`crate::io::event::Event`]; loom's tests use a number.
pub struct Queue<E> {
    /// Leaf lock: nothing else is locked while it is held.
    inner: Mutex<Inner<E>>,
    /// The pump sleeps or is about to: the next to queue wakes it. Set under the lock only, so that looking at the batch
    /// and falling asleep are one step; cleared without it, since a wake-up too many does no harm.
    asleep: AtomicBool,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self {
            inner: Mutex::new(Inner {
                batch: Batch::default(),
                sleeper: None,
            }),
            asleep: AtomicBool::new(false),
        }
    }
}

impl<E> Queue<E> {
    /// Queues an event behind all others.
    pub fn push(&self, event: E) {
        self.insert(|batch| batch.events.push(event));
    }

    /// Queues an event ahead of those that [`Queue::push`] queued.
    pub fn push_urgent(&self, event: E) {
        self.insert(|batch| batch.urgent.push(event));
    }

    /// Queues an event of `count` received bytes that lie in memory of their own.
    pub fn push_elsewhere(&self, event: E, count: usize) {
        self.insert(|batch| {
            batch.events.push(event);
            batch.elsewhere += count;
        });
    }

    /// Copies `bytes` into the arena and queues the event that `event` makes of their place, unless there is no memory for
    /// them.
    pub fn push_bytes(
        &self,
        bytes: &[u8],
        event: impl FnOnce(ByteRange) -> E,
    ) -> Result<(), TryReserveError> {
        let mut inner = self.inner.lock();
        while let Some(wanted) = inner.batch.bytes.wanted(bytes.len()) {
            // Memory is made without the lock, which is held across no system call; others may push meanwhile.
            drop(inner);
            let chunk = Chunk::new(wanted)?;
            inner = self.inner.lock();
            inner.batch.bytes.add(chunk);
        }
        inner.batch.events.try_reserve(1)?;
        let place = inner.batch.bytes.push(bytes);
        inner.batch.events.push(event(place));
        let sleeper = self.sleeper(&inner);
        drop(inner);
        if let Some(sleeper) = sleeper {
            sleeper.wake();
        }
        Ok(())
    }

    /// Whom to wake after the lock was released.
    fn sleeper(&self, inner: &Inner<E>) -> Option<Waker> {
        if !self.asleep.load(Ordering::Relaxed) {
            return None;
        }
        self.asleep.store(false, Ordering::Relaxed);
        inner.sleeper.clone()
    }

    /// Wakes the pump's poll without an event, so that it looks around.
    pub fn wake(&self) {
        self.insert(|_| ());
    }

    fn insert(&self, put: impl FnOnce(&mut Batch<E>)) {
        let sleeper = {
            let mut inner = self.inner.lock();
            put(&mut inner.batch);
            self.sleeper(&inner)
        };
        if let Some(sleeper) = sleeper {
            sleeper.wake();
        }
    }

    /// The pump is up: nobody need wake it until it sleeps again.
    pub fn rouse(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }

    /// Ready once something is queued; otherwise the caller's waker is called by the next push or [`Queue::wake`].
    pub fn poll_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.inner.lock();
        // Looking and falling asleep are one step under the lock, so no push can fall between them.
        let empty = inner.batch.is_empty();
        self.asleep.store(empty, Ordering::Relaxed);
        if !empty {
            return Poll::Ready(());
        }
        let waker = context.waker();
        let known = inner.sleeper.as_ref();
        if known.is_none_or(|known| !known.will_wake(waker)) {
            inner.sleeper = Some(waker.clone());
        }
        Poll::Pending
    }

    /// Swaps what is queued for `empty`. The pump calls it with a batch it has recycled.
    pub fn swap(&self, empty: &mut Batch<E>) {
        debug_assert!(empty.is_empty());
        std::mem::swap(&mut self.inner.lock().batch, empty);
    }

    /// Looks at what is queued. Under the lock: nothing of Python's, and no system call.
    pub fn look<R>(&self, look: impl FnOnce(&mut [E], &Arena) -> R) -> R {
        let mut inner = self.inner.lock();
        let batch = &mut inner.batch;
        look(&mut batch.events, &batch.bytes)
    }

    /// Lets go of the sleeping pump's waker, when the loop has ended: it holds the runtime.
    pub fn forget_sleeper(&self) {
        let sleeper = self.inner.lock().sleeper.take();
        drop(sleeper);
    }

    /// Whether nothing is queued now.
    pub fn is_empty(&self) -> bool {
        self.inner.lock().batch.is_empty()
    }

    /// Queued events and bytes, for statistics.
    pub fn sizes(&self) -> (usize, usize) {
        let inner = self.inner.lock();
        (
            inner.batch.events.len() + inner.batch.urgent.len(),
            inner.batch.bytes.len() + inner.batch.elsewhere,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Batch, KEPT_EVENTS};

    #[test]
    fn room_for_a_bursts_events_is_given_back() {
        let mut batch = Batch::default();
        batch.events.extend(0..10 * KEPT_EVENTS);
        batch.recycle();
        assert!((1..=KEPT_EVENTS).contains(&batch.events.capacity()));
    }
}
