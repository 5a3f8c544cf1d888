//! When what callbacks wrote is sent: at the end of a batch, and in a long one at times.

use crate::io::conn::flush::flush;
use crate::io::conn::link::Link;
use crate::io::keys::Key;
use crate::shared::loop_state::LoopState;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Callbacks after which what they wrote is sent, however long the batch is.
const CALLS_A_FLUSH: u32 = 64;
/// Time after which it is sent.
const TIME_A_FLUSH: Duration = Duration::from_micros(500);
/// The clock is read after so many callbacks.
const CALLS_A_LOOK: u32 = 8;

/// One per pump.
pub struct Flusher {
    /// Empty between two flushes; kept for its allocation.
    flushing: Vec<Arc<Link>>,
    /// Sockets whose flush was complete, to be told before the events that were queued afterwards.
    flushed: VecDeque<Key>,
    /// Callbacks since the last flush, which was not before `since`.
    calls: u32,
    since: Instant,
}

impl Default for Flusher {
    fn default() -> Self {
        Self {
            flushing: Vec::new(),
            flushed: VecDeque::new(),
            calls: 0,
            since: Instant::now(),
        }
    }
}

impl Flusher {
    /// Sends what was written.
    pub fn flush(&mut self, event_loop: &LoopState) {
        let flushed = &mut self.flushed;
        flush(&event_loop.hub, &mut self.flushing, |link| {
            flushed.push_back(link.key);
        });
        event_loop.hub.reactor.kick_helper();
        self.calls = 0;
    }

    /// A batch of so many events begins.
    pub fn begin(&mut self, events: usize) {
        if events >= CALLS_A_LOOK as usize {
            // In a shorter batch nobody looks, or finds that much time has passed and flushes early.
            self.since = Instant::now();
        }
    }

    /// A callback was called. Whether it is time for a flush in the middle of the batch.
    pub fn called(&mut self, event_loop: &LoopState) -> bool {
        self.calls += 1;
        self.calls.is_multiple_of(CALLS_A_LOOK) && self.is_due(event_loop)
    }

    fn is_due(&mut self, event_loop: &LoopState) -> bool {
        let due = self.calls >= CALLS_A_FLUSH || self.since.elapsed() >= TIME_A_FLUSH;
        if !due || !event_loop.hub.reactor.is_dirty() {
            return false;
        }
        self.since = Instant::now();
        true
    }

    /// How many complete flushes are still to be told.
    pub fn untold(&self) -> usize {
        self.flushed.len()
    }

    /// Takes the next one.
    pub fn pop_untold(&mut self) -> Option<Key> {
        self.flushed.pop_front()
    }
}
