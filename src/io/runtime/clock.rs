//! The time of a loop's turns.

use crate::io::sync::{AtomicBool, AtomicU64, Ordering};
use crate::io::sys::platform;
use std::time::Duration;
use tokio::time::Instant;

/// The time of the turn, so that a busy connection with a timeout reads no clock.
pub(crate) struct Clock {
    began: Instant,
    /// The same by [`platform::nanoseconds`].
    zero: u64,
    /// Nanoseconds since then.
    turn: AtomicU64,
    kept: AtomicBool,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            zero: platform::nanoseconds(),
            turn: AtomicU64::new(0),
            kept: AtomicBool::new(false),
        }
    }
}

impl Clock {
    /// From now on each turn takes its time.
    pub(crate) fn keep(&self) {
        if !self.kept.swap(true, Ordering::Relaxed) {
            self.tick();
        }
    }

    /// A turn begins.
    pub(crate) fn tick(&self) {
        if self.kept.load(Ordering::Relaxed) {
            self.turn.store(self.time(), Ordering::Relaxed);
        }
    }

    /// When the turn began, in nanoseconds for [`Clock::instant`].
    pub(crate) fn turn(&self) -> u64 {
        self.turn.load(Ordering::Relaxed)
    }

    /// The time, in nanoseconds for [`Clock::instant`].
    pub(crate) fn time(&self) -> u64 {
        platform::nanoseconds() - self.zero
    }

    /// What [`Clock::turn`] or [`Clock::time`] said.
    pub(crate) fn instant(&self, nanoseconds: u64) -> Instant {
        self.began + Duration::from_nanos(nanoseconds)
    }
}
