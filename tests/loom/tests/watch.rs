//! The helper is called when Python keeps the pump, whoever minds the alarm at that time. The alarm rings here as soon as it
//! is set, or later; a helper that waits for one that nobody sets is a deadlock, which loom reports.

use asynctcp_loom::check;
use asynctcp_loom::io::runtime::handover::Handover;
use asynctcp_loom::io::runtime::watch::{OneShot, PumpWatch, Watch};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Time passes whenever somebody waits for it.
const GRACE: Duration = Duration::from_millis(1);
/// The pump hands the alarm over each second quiet turn.
const CHECK_EVERY: u32 = 2;
const EARLY_RINGS: usize = 3;

#[derive(Default)]
struct Alarm {
    is_set: Mutex<bool>,
    changed: Condvar,
    rings: AtomicUsize,
}

impl OneShot for Alarm {
    fn set(&self, _delay: Duration) {
        *self.is_set.lock().unwrap() = true;
        self.changed.notify_one();
    }

    fn clear(&self) {
        *self.is_set.lock().unwrap() = false;
    }

    fn wait(&self) {
        let mut is_set = self.is_set.lock().unwrap();
        while !*is_set {
            is_set = self.changed.wait(is_set).unwrap();
        }
        *is_set = false;
        drop(is_set);
        // After some rings at any time the pump goes first, or there would be no end of them.
        if self.rings.fetch_add(1, Ordering::Relaxed) >= EARLY_RINGS {
            thread::yield_now();
        }
    }
}

struct Loop {
    handover: Handover,
    watch: Watch<Alarm>,
}

impl Loop {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            handover: Handover::default(),
            watch: Watch::new(Alarm::default(), GRACE, CHECK_EVERY),
        })
    }

    fn turn(&self, pump: &mut PumpWatch) {
        self.handover.enter();
        pump.back(&self.watch);
        self.handover.leave();
        pump.away(&self.watch);
    }

    /// The helper's life until it has taken over in the turn of this number, or was stopped. It takes over when the pump has
    /// been away from one look to the next. The first looks of `busy` find a busy pump.
    fn help(&self, last: u64, busy: usize) {
        let mut seen = None;
        for look in 0.. {
            if !self.watch.wait() {
                return;
            }
            let now = self.handover.observe();
            if seen == Some(now) && self.handover.take_over(now) {
                if Handover::turns_between(0, now) == last {
                    return;
                }
                while self.handover.helper_drives() {
                    thread::yield_now();
                }
            }
            seen = Some(now);
            self.watch.looked(look < busy, &self.handover, || GRACE);
        }
    }
}

/// Python keeps the pump for ever after so many turns.
fn is_noticed(preemptions: usize, turns: u64, busy: usize) {
    check(preemptions, move || {
        let shared = Loop::new();
        let helper = {
            let shared = shared.clone();
            thread::spawn(move || shared.help(turns, busy))
        };
        let mut pump = PumpWatch::default();
        (0..turns).for_each(|_| shared.turn(&mut pump));
        helper.join().unwrap();
        assert!(shared.handover.helper_drives());
    });
}

#[test]
fn the_first_stay_is_noticed() {
    is_noticed(3, 0, 0);
}

#[test]
fn a_stay_after_a_quiet_turn_is_noticed() {
    is_noticed(3, 1, 0);
}

#[test]
fn a_stay_after_the_alarm_was_handed_over_is_noticed() {
    is_noticed(3, 3, 0);
}

#[test]
fn a_stay_after_busy_turns_is_noticed() {
    is_noticed(3, 2, 1);
}

#[test]
fn a_stop_reaches_the_helper_whoever_minds_the_alarm() {
    for busy in 0..2 {
        check(2, move || {
            let shared = Loop::new();
            let helper = {
                let shared = shared.clone();
                thread::spawn(move || shared.help(u64::MAX, busy))
            };
            let mut pump = PumpWatch::default();
            shared.turn(&mut pump);
            shared.handover.enter();
            shared.watch.stop();
            helper.join().unwrap();
        });
    }
}
