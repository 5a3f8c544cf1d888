//! When a runtime with threads of its own sends what the pump is late to send.
//!
//! Its threads do not know how long Python has kept the pump, so what is still staged after [`PATIENCE`] is sent,
//! whatever the pump does. Where messages keep coming that is looked at each [`PATIENCE`], and nobody is woken for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::sleep;

/// How long something may be staged.
const PATIENCE: Duration = Duration::from_millis(5);

/// What staging threads and the task that sends share.
pub(crate) struct LateFlush {
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
            call: Notify::new(),
        }
    }
}

impl LateFlush {
    /// Something was staged.
    pub(crate) fn call(&self) {
        // SeqCst, here and in `is_due`: one side writes `staged` and then reads `asleep`, the other the other way round, so
        // at least one of them sees what the other did.
        self.staged.store(true, Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst) && self.asleep.swap(false, Ordering::SeqCst) {
            self.call.notify_one();
        }
    }

    /// Waits for the first call.
    pub(crate) async fn called(&self) {
        self.call.notified().await;
    }

    /// True when what was staged has had its time; false when nothing was, and the task is to be called again.
    pub(crate) async fn is_due(&self) -> bool {
        loop {
            if self.staged.swap(false, Ordering::SeqCst) {
                sleep(PATIENCE).await;
                return true;
            }
            self.asleep.store(true, Ordering::SeqCst);
            if !self.staged.load(Ordering::SeqCst) || !self.asleep.swap(false, Ordering::SeqCst) {
                // Nothing came, or whoever staged calls.
                return false;
            }
        }
    }
}
