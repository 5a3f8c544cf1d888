//! Connections that a server refuses: some of them are told, so that a flood of them does not keep Python busy.

use crate::io::sync::Mutex;
use std::time::Duration;

/// So many a second are told.
const MOST: usize = 10;
const SECOND: u64 = Duration::from_secs(1).as_nanos() as u64;

/// When the last ones were told, in nanoseconds; 0: never.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    /// Leaf lock.
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    times: [u64; MOST],
    oldest: usize,
}

impl Refusals {
    /// Whether one more is to be told, `now`.
    pub(crate) fn may_tell(&self, now: u64) -> bool {
        let now = now.max(1);
        let mut told = self.told.lock();
        let oldest = told.oldest;
        let time = &mut told.times[oldest];
        if *time != 0 && now.saturating_sub(*time) < SECOND {
            return false;
        }
        *time = now;
        told.oldest = (oldest + 1) % MOST;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, Refusals, SECOND};

    #[test]
    fn ten_are_told_in_any_second() {
        let refusals = Refusals::default();
        let mut told = Vec::new();
        for now in (0..3 * SECOND).step_by(SECOND as usize / 100) {
            if refusals.may_tell(now) {
                told.push(now);
            }
        }
        assert_eq!(told.len(), 3 * MOST);
        let apart = told.iter().zip(&told[MOST..]);
        assert!(
            apart
                .into_iter()
                .all(|(first, next)| next - first.max(&1) >= SECOND - 1)
        );
    }
}
