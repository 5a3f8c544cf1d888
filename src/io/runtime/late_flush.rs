//! When a runtime with threads of its own sends what the pump is late to send.
//!
//! Its threads do not know how long Python has kept the pump, so what is still staged after [`PATIENCE`] is sent,
//! whatever the pump does. Where messages keep coming that is looked at each [`PATIENCE`], and nobody is woken for it.

use crate::io::sync::{AtomicBool, Notify, Ordering};
use std::time::Duration;

/// How long something may be staged.
pub const PATIENCE: Duration = Duration::from_millis(5);

/// What staging threads and the task that sends share.
pub struct LateFlush {
    /// Something was staged since the task last looked.
    staged: AtomicBool,
    /// The task waits to be called.
    asleep: AtomicBool,
    call: Notify,
}

impl Default for LateFlush {
    fn default() -> Self {
        Self {
            staged: AtomicBool::new(false),
            asleep: AtomicBool::new(true),
            call: Notify::default(),
        }
    }
}

impl LateFlush {
    /// Something was staged.
    pub fn call(&self) {
        // SeqCst, here and in `is_due`: one side writes `staged` and then reads `asleep`, the other the other way round, so
        // at least one of them sees what the other did. Swaps, since loom knows the order of those (and on x86 it is the
        // same instruction).
        self.staged.swap(true, Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst) && self.asleep.swap(false, Ordering::SeqCst) {
            self.call.notify_one();
        }
    }

    /// Waits for the first call.
    pub async fn called(&self) {
        self.call.notified().await;
    }

    /// True when something was staged, to be sent after [`PATIENCE`]; false when nothing was, and the task is to be called
    /// again.
    pub fn is_due(&self) -> bool {
        loop {
            if self.staged.swap(false, Ordering::SeqCst) {
                return true;
            }
            self.asleep.swap(true, Ordering::SeqCst);
            if !self.staged.load(Ordering::SeqCst) || !self.asleep.swap(false, Ordering::SeqCst) {
                // Nothing came, or whoever staged calls.
                return false;
            }
        }
    }
}
