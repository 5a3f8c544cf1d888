//! Pump and helper take turns at the runtime. Loom cannot run Tokio's scheduler core, so the core is a lock here that is
//! held while its thread blocks on a root future, and the future's waker wakes that thread.

use asynctcp_loom::check;
use asynctcp_loom::io::runtime::handover::Handover;
use asynctcp_loom::io::sync::{AtomicU64, Mutex, Ordering};
use loom::future::block_on;
use loom::sync::Arc;
use loom::thread;
use std::future::poll_fn;

#[derive(Default)]
struct Loop {
    handover: Handover,
    core: Mutex<()>,
    /// Turns that the pump has begun: each one recalls a helper that drives.
    begun: AtomicU64,
}

impl Loop {
    fn begin_turn(&self) {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.handover.enter();
        // Blocks for ever, which loom reports, if a helper has the core and no recall reaches it.
        drop(self.core.lock());
        assert!(!self.handover.helper_drives(), "both drive");
    }

    fn turn(&self) {
        self.begin_turn();
        self.handover.leave();
    }

    /// The helper's step; `seen` is the word as it was a grace time ago.
    fn help(&self, seen: u64) {
        if !self.handover.take_over(seen) {
            return;
        }
        let core = self.core.lock();
        block_on(poll_fn(|context| self.handover.poll_recalled(context)));
        assert!(
            !self.handover.helper_drives(),
            "it gave up although nobody recalled it"
        );
        drop(core);
        let ended = Handover::turns_between(0, seen);
        assert!(
            self.begun.load(Ordering::SeqCst) > ended,
            "a recall of an earlier turn ended the drive"
        );
    }
}

/// The pump's last turn has no end, as when a loop is stopped: the helper must be out of the core for good.
fn pump_against_helper(preemptions: usize, turns: usize, looks: usize) {
    check(preemptions, move || {
        let shared = Arc::new(Loop::default());
        let helper = {
            let shared = shared.clone();
            thread::spawn(move || (0..looks).for_each(|_| shared.help(shared.handover.observe())))
        };
        (0..turns).for_each(|_| shared.turn());
        shared.begin_turn();
        helper.join().unwrap();
        assert!(!shared.handover.helper_drives());
    });
}

#[test]
fn the_pump_always_gets_the_core_back() {
    pump_against_helper(4, 0, 2);
}

#[test]
fn a_recall_of_one_turn_is_none_of_the_next() {
    pump_against_helper(4, 1, 2);
}

#[test]
fn many_turns_against_many_looks() {
    pump_against_helper(3, 2, 3);
}

/// The root future is woken for other reasons as well, from the pump's thread, while the recall is on its way.
#[test]
fn a_wake_up_for_commands_is_no_recall() {
    check(3, || {
        let shared = Arc::new(Loop::default());
        let helper = {
            let shared = shared.clone();
            thread::spawn(move || shared.help(shared.handover.observe()))
        };
        let pump = {
            let shared = shared.clone();
            thread::spawn(move || {
                if shared.handover.helper_drives() {
                    shared.handover.wake_helper();
                }
                shared.turn();
                shared.begin_turn();
            })
        };
        pump.join().unwrap();
        helper.join().unwrap();
    });
}

#[test]
fn the_helper_takes_over_only_in_the_turn_that_it_saw() {
    check(1, || {
        let handover = Handover::default();
        let seen = handover.observe();
        handover.enter();
        assert!(
            !handover.take_over(seen) && !handover.take_over(handover.observe()),
            "the pump is inside"
        );
        handover.leave();
        assert!(!handover.take_over(seen), "the pump was inside meanwhile");
        assert_eq!(Handover::turns_between(seen, handover.observe()), 1);
        assert!(handover.take_over(handover.observe()) && handover.helper_drives());
        assert!(!handover.take_over(handover.observe()), "it drives already");
    });
}
