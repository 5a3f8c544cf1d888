//! Whether a link is on the list of those to flush.
//!
//! Whoever stages bytes marks the link after that, and puts it on the list if it was not marked; the pump, or the helper, takes it off
//! the list, clears the mark and then looks what is staged. Bytes are staged, and looked for, under one lock. So whoever
//! finds the mark still set has staged before the pump looks.

use crate::io::sync::{AtomicBool, Ordering};

/// One per connection. It needs no exchange, as those who set it take turns (they hold the interpreter's lock).
#[derive(Debug)]
pub struct Mark {
    set: AtomicBool,
}

impl Default for Mark {
    fn default() -> Self {
        Self {
            set: AtomicBool::new(false),
        }
    }
}

impl Mark {
    /// True if it was not set: the caller puts the link on the list.
    pub fn set(&self) -> bool {
        // Not written where it is set already: the pump may clear it in between.
        if self.set.load(Ordering::Relaxed) {
            return false;
        }
        self.set.store(true, Ordering::Relaxed);
        true
    }

    /// The link was taken off the list; what is staged is looked at next.
    pub fn clear(&self) {
        self.set.store(false, Ordering::Relaxed);
    }
}
