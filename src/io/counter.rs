//! Counters that one thread at a time adds to.

use std::sync::atomic::{AtomicU64, Ordering};

/// Adds to a counter that one thread at a time adds to, but any may read: no exchange is needed.
pub fn add(counter: &AtomicU64, count: usize) {
    let now = counter.load(Ordering::Relaxed);
    counter.store(now + count as u64, Ordering::Relaxed);
}
