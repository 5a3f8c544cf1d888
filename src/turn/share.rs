//! Other threads' share of the interpreter's lock beside a loop that always has something to do.
//!
//! A loop that lets go of the lock at each look, and takes it again at once, leaves others nothing: they wake up too late, and get it
//! by Python's force only, after 5 ms. A thread that lets go often, as one that reads files or a database, would do 200 things a second.

use crate::io::sys::platform::nanoseconds;
use pyo3::prelude::*;

/// Letting go takes longer than so, in nanoseconds, where a thread waits and has to be woken.
const WAKES: u64 = 400;
/// How long a thread may take to wake up.
const PATIENCE: u64 = 50_000;
/// A look that took so long has left the lock to them.
const SLEPT: u64 = 5_000;
/// A loop that has slept is not taken for busy for so long.
const RESTED: u64 = 100_000;
/// The loop keeps the lock for so many times as long as others had it: a thread that only computes must not starve it.
const KEPT: u64 = 4;

/// When the loop gives way again.
#[derive(Clone, Copy, Default)]
pub(crate) struct Share {
    due: u64,
    /// A thread waited at the last look, and may have got nothing.
    seen: bool,
}

impl Share {
    /// Whether a loop that has something to do lets go of the lock: it has had it for long.
    #[inline(always)]
    pub(crate) fn is_due(&self, now: u64) -> bool {
        now >= self.due
    }

    /// Runs `look` without the interpreter's lock. Who waits for that in vain gets it before the loop has it again.
    #[inline(always)]
    pub(crate) fn without_gil<T: Send>(
        &mut self,
        py: Python<'_>,
        look: impl FnOnce() -> T + Send,
    ) -> T {
        let from = nanoseconds();
        let (result, gave_way) = py.detach(|| {
            let gone = nanoseconds();
            let result = look();
            let looked = nanoseconds();
            if looked - gone >= SLEPT {
                (self.seen, self.due) = (false, self.due.max(looked + RESTED));
                return (result, false);
            }
            let waits = gone - from > WAKES && from >= self.due;
            let gives_way = waits && self.seen;
            self.seen = waits;
            if gives_way {
                give_way(gone + PATIENCE);
            }
            (result, gives_way)
        });
        if gave_way {
            let back = nanoseconds();
            self.due = back + KEPT * (back - from);
        }
        result
    }
}

#[cold]
fn give_way(until: u64) {
    while nanoseconds() < until {
        std::thread::yield_now();
    }
}
