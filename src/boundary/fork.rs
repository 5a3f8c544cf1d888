//! How often the process was forked: what belongs to a process above this one is not to be touched.

use std::sync::atomic::{AtomicU32, Ordering};

/// Grows in the child of each fork: a loop of an earlier number is the parent's.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// How many forks lie between the first process and this one.
pub fn forks() -> u32 {
    FORKS.load(Ordering::Relaxed)
}

/// To be called in a forked child, before anything else of this library.
pub fn count() {
    FORKS.fetch_add(1, Ordering::SeqCst);
}
