//! The send token: who may call `send` on a connection right now.
//!
//! The pump (flushing after a batch) and the connection's task (when the kernel had no room) both send. Whoever
//! holds the token does; the other leaves its bytes staged and goes on. The holder gives the token back under the lock
//! under which bytes are staged, when it finds none, so bytes that were staged while it was held cannot be left behind.

use crate::io::sync::{AtomicBool, Mutex, Ordering};

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
        // Acquire: what the last holder did to the in-flight bytes is seen. Release is `next`'s.
        self.held
            .compare_exchange(false, true, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// The holder's next step: what `take` finds to do, or None, and then the token was given back.
    pub fn next<S, T>(
        &self,
        staged: &Mutex<S>,
        take: impl FnOnce(&mut S) -> Option<T>,
    ) -> Option<T> {
        let mut staged = staged.lock();
        let taken = take(&mut staged);
        if taken.is_none() {
            // Still under the lock: who stages later finds the token free, and who staged before was seen.
            self.held.store(false, Ordering::Release);
        }
        taken
    }
}
