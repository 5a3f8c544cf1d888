//! The send token: who may call `send` on a connection right now.
//!
//! The pump (flushing after a batch) and the connection's task (when the kernel had no room) both send. Whoever
//! holds the token does; the other leaves its bytes staged and goes on. The holder looks at what is staged once more
//! after giving the token back, so bytes that were staged while it was held cannot be left behind.

use super::sync::{AtomicBool, Ordering};

/// One per connection. Not a lock: nobody waits for it.
#[derive(Debug)]
pub struct SendToken {
    held: AtomicBool,
}

impl Default for SendToken {
    fn default() -> Self {
        Self {
            held: AtomicBool::new(false),
        }
    }
}

impl SendToken {
    /// A token that its maker holds.
    pub fn taken() -> Self {
        Self {
            held: AtomicBool::new(true),
        }
    }

    /// Takes the token if nobody has it.
    pub fn try_take(&self) -> bool {
        // Acquire: what the last holder did to the in-flight bytes is seen. Release is give_back's.
        self.held
            .compare_exchange(false, true, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// Gives the token back, then asks `staged` whether bytes came meanwhile; true: it is taken again, go on sending.
    pub fn give_back(&self, staged: impl FnOnce() -> bool) -> bool {
        self.held.store(false, Ordering::Release);
        // The re-check: a writer that found the token held has staged before it looked, under the lock that `staged`
        // takes, so either we see its bytes here or it sees the token free.
        staged() && self.try_take()
    }
}
