//! How many received bytes of one connection Python has not taken yet, and whether reading waits for that.
//!
//! The connection's task adds what it received and pauses at the limit; the pump subtracts what it delivered and
//! resumes the task at half of it. Each re-checks after its own step, so the two cannot miss one another.

use crate::io::sync::{AtomicBool, AtomicUsize, Ordering};

/// One per connection.
#[derive(Debug)]
pub struct FlowControl {
    unread: AtomicUsize,
    paused: AtomicBool,
}

impl Default for FlowControl {
    fn default() -> Self {
        Self {
            unread: AtomicUsize::new(0),
            paused: AtomicBool::new(false),
        }
    }
}

impl FlowControl {
    /// Bytes received and not delivered.
    pub fn unread(&self) -> usize {
        self.unread.load(Ordering::Relaxed)
    }

    /// Whether reading waits for the pump.
    pub fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// The task's side: `bytes` were queued.
    pub fn add(&self, bytes: usize) {
        self.unread.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The task's side: may it receive more? False: it is paused, and [`FlowControl::delivered`] will say when to resume.
    pub fn may_read(&self, limit: usize) -> bool {
        if self.unread.load(Ordering::SeqCst) < limit {
            return true;
        }
        // SeqCst on both sides: the task writes `paused` and reads `unread`, the pump the other way round; with less
        // each could read the old value and the connection would never be read again.
        self.paused.store(true, Ordering::SeqCst);
        if self.unread.load(Ordering::SeqCst) < limit {
            // Whoever clears the flag resumes: if the pump was first, its wake-up only costs a poll.
            self.paused.store(false, Ordering::SeqCst);
            return true;
        }
        false
    }

    /// The pump's side: `bytes` were delivered. True: the task waits and shall be woken.
    pub fn delivered(&self, bytes: usize, limit: usize) -> bool {
        let left = self.unread.fetch_sub(bytes, Ordering::SeqCst) - bytes;
        // The flag is written only where it was set: loom cannot order a swap that changes nothing before a later pause.
        left <= limit / 2
            && self.paused.load(Ordering::SeqCst)
            && self
                .paused
                .compare_exchange(true, false, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok()
    }
}
