//! What debug mode sees of a loop: whether a callback runs, and whether it is still the same.

use std::sync::atomic::{AtomicU64, Ordering};

/// What the watchdog of debug mode looks at: odd while a callback runs, and another number for each.
#[derive(Default)]
pub struct Beat(AtomicU64);

impl Beat {
    /// A callback begins, or ends.
    pub fn tick(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// What it is now.
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
