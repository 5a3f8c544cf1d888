//! The time of a loop's turns, how long Python has kept the pump, and who waits until it is back.

use crate::io::hub::Hub;
use crate::io::sys;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;
use tokio::time::Instant;

/// The time of the turn, so that a busy connection with a timeout reads no clock.
pub(crate) struct Clock {
    began: Instant,
    /// The same by [`sys::nanoseconds`].
    zero: u64,
    /// Nanoseconds since then.
    turn: AtomicU64,
    kept: AtomicBool,
    /// When the pump last left the runtime for Python, in nanoseconds; 0: it never does, as a foreign loop's.
    left: AtomicU64,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            zero: sys::nanoseconds(),
            turn: AtomicU64::new(0),
            kept: AtomicBool::new(false),
            left: AtomicU64::new(0),
        }
    }
}

impl Clock {
    pub(crate) fn tick(&self) {
        if self.kept.load(Ordering::Relaxed) {
            self.turn.store(self.look(), Ordering::Relaxed);
        }
    }

    fn look(&self) -> u64 {
        sys::nanoseconds() - self.zero
    }
}

impl Hub {
    /// The pump leaves the runtime, for Python.
    pub(crate) fn leave(&self) {
        self.clock.left.store(self.time().max(1), Ordering::SeqCst);
        self.handover.leave();
    }

    /// How long Python has kept the pump; zero while the pump drives, and where nobody knows.
    pub(crate) fn python_time(&self) -> Duration {
        let left = self.clock.left.load(Ordering::SeqCst);
        if left == 0 || self.handover.is_inside() {
            return Duration::ZERO;
        }
        Duration::from_nanos(self.time().saturating_sub(left))
    }

    /// Calls `accepting` when Python is back.
    pub(crate) fn wait_for_python(&self, accepting: &Waker) {
        self.waiting.lock().push(accepting.clone());
        self.anyone_waits.store(true, Ordering::SeqCst);
    }

    /// Python has come back from callbacks: accept loops that waited for that look again.
    #[inline]
    pub fn python_is_back(&self) {
        if self.anyone_waits.load(Ordering::SeqCst) {
            self.wake_waiting();
        }
    }

    #[cold]
    fn wake_waiting(&self) {
        self.anyone_waits.store(false, Ordering::SeqCst);
        let waiting = std::mem::take(&mut *self.waiting.lock());
        waiting.into_iter().for_each(Waker::wake);
    }

    /// From now on each turn takes its time.
    pub(crate) fn keep_time(&self) {
        if !self.clock.kept.swap(true, Ordering::Relaxed) {
            self.clock.tick();
        }
    }

    /// The time when the turn began (of a runtime with threads of its own, which has no turns: the time), in nanoseconds
    /// for [`Hub::instant`].
    pub(crate) fn now(&self) -> u64 {
        if self.threaded.load(Ordering::Relaxed) {
            self.clock.look()
        } else {
            self.clock.turn.load(Ordering::Relaxed)
        }
    }

    /// The time, in nanoseconds for [`Hub::instant`].
    pub(crate) fn time(&self) -> u64 {
        self.clock.look()
    }

    /// What [`Hub::now`] said.
    pub(crate) fn instant(&self, nanoseconds: u64) -> Instant {
        self.clock.began + Duration::from_nanos(nanoseconds)
    }
}
