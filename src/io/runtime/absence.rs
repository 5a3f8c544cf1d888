//! How long Python has kept the pump, and who waits until it is back.

use crate::io::sync::{AtomicBool, AtomicU64, Mutex, Ordering};
use std::task::Waker;

/// One for each loop.
pub struct Absence {
    /// When the pump last left the runtime for Python; 0: it never does, as a foreign loop's.
    left: AtomicU64,
    /// Leaf lock.
    waiting: Mutex<Vec<Waker>>,
    anyone_waits: AtomicBool,
}

impl Default for Absence {
    fn default() -> Self {
        Self {
            left: AtomicU64::new(0),
            waiting: Mutex::new(Vec::new()),
            anyone_waits: AtomicBool::new(false),
        }
    }
}

impl Absence {
    /// The pump leaves the runtime at `now`.
    pub fn begin(&self, now: u64) {
        // The handover's word, which says next that the pump left, is what tells others.
        self.left.store(now.max(1), Ordering::Release);
    }

    /// When the pump last left, if it ever does.
    pub fn began(&self) -> Option<u64> {
        match self.left.load(Ordering::Acquire) {
            0 => None,
            left => Some(left),
        }
    }

    /// Calls `waker` when Python is back. It may have come back just before: the caller looks again.
    pub fn wait(&self, waker: &Waker) {
        self.waiting.lock().push(waker.clone());
        self.anyone_waits.store(true, Ordering::SeqCst);
    }

    /// Python is back, or has come back in between.
    #[inline]
    pub fn end(&self) {
        if self.anyone_waits.load(Ordering::SeqCst) {
            self.wake_waiting();
        }
    }

    #[cold]
    fn wake_waiting(&self) {
        self.anyone_waits.store(false, Ordering::SeqCst);
        let waiting = std::mem::take(&mut *self.waiting.lock());
        waiting.into_iter().for_each(Waker::wake);
    }

    /// The loop has ended.
    pub fn forget(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        drop(waiting);
    }
}
