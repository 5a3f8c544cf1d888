//! Whether another thread computes in Python while the loop works.
//!
//! Such a thread gives the interpreter back only after the switch interval (5 ms), so a pump that released it each
//! turn would be served 200 times a second, and could answer only what had come before it began to wait. Where that
//! is seen, the pump keeps the interpreter as long as there is something to do, as an asyncio loop does within a
//! turn, and leaves it to the interpreter's own rule when the other thread is due.

use crate::boundary::call::call;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use std::time::Duration;

/// Getting the interpreter back takes less than this where nobody computes.
const LONG: Duration = Duration::from_millis(1);
/// Releases that are measured after one that took long; until one of them does again.
const WATCHED: u32 = 8;
/// While nobody is seen to compute, one release in so many is measured.
const SAMPLE: u32 = 16;
/// Turns that keep the interpreter before one releases it, to see whether anybody still wants it.
const KEPT: u32 = 256;
/// Before it gives the interpreter away, the pump looks for events so long: it would come back after the switch interval
/// only.
pub const SPIN: Duration = Duration::from_micros(20);

static GIVE_WAY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Changes threads if another is due. Callbacks written in Python do so as well; those written in C do not.
pub fn give_way(py: Python<'_>) -> PyResult<()> {
    let give_way = GIVE_WAY.import(py, "asynctcp._loop", "give_way")?;
    call(give_way, ()).map(drop)
}

/// One per pump.
#[derive(Default)]
pub struct Contention {
    releases: u32,
    /// Releases still to be measured; 0: nobody computes, as far as was seen.
    watched: u32,
    kept: u32,
}

impl Contention {
    /// The interpreter is about to be released. Whether to measure how long it takes to get it back, for
    /// [`Contention::waited`].
    pub fn releases(&mut self) -> bool {
        self.kept = 0;
        self.releases = self.releases.wrapping_add(1);
        self.is_seen() || self.releases.is_multiple_of(SAMPLE)
    }

    /// It took so long to get the interpreter back.
    pub fn waited(&mut self, time: Duration) {
        self.watched = if time >= LONG {
            WATCHED
        } else {
            self.watched.saturating_sub(1)
        };
    }

    /// Whether others compute.
    pub fn is_seen(&self) -> bool {
        self.watched > 0
    }

    /// Whether the coming turn shall keep the interpreter.
    pub fn keeps(&mut self) -> bool {
        if !self.is_seen() || self.kept == KEPT {
            return false;
        }
        self.kept += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_long_wait_has_the_coming_turns_keep_the_interpreter() {
        let mut contention = Contention::default();
        assert!(!contention.keeps());
        contention.waited(LONG);
        assert!(contention.is_seen() && contention.keeps());
    }

    #[test]
    fn after_as_many_short_waits_as_are_watched_nobody_computes() {
        let mut contention = Contention::default();
        contention.waited(LONG);
        for _ in 1..WATCHED {
            contention.waited(Duration::ZERO);
            assert!(contention.is_seen());
        }
        contention.waited(Duration::ZERO);
        assert!(!contention.is_seen());
    }

    #[test]
    fn while_nobody_computes_one_release_in_so_many_is_measured() {
        let mut contention = Contention::default();
        let measured = (0..3 * SAMPLE).filter(|_| contention.releases());
        assert_eq!(measured.count(), 3);
    }

    #[test]
    fn while_somebody_computes_each_release_is_measured() {
        let mut contention = Contention::default();
        contention.waited(LONG);
        assert!((0..SAMPLE).all(|_| contention.releases()));
    }

    #[test]
    fn after_a_release_turns_may_keep_the_interpreter_again() {
        let mut contention = Contention::default();
        contention.waited(LONG);
        while contention.keeps() {}
        contention.releases();
        assert!(contention.keeps());
    }

    #[test]
    fn a_turn_releases_the_interpreter_after_those_that_may_keep_it() {
        let mut contention = Contention::default();
        contention.waited(LONG);
        assert_eq!(
            (0..=KEPT).filter(|_| contention.keeps()).count(),
            KEPT as usize
        );
    }
}
