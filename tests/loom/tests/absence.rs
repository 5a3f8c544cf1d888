//! Who waits for Python's return is woken by it, also when it comes at the same moment.

use asynctcp_loom::check;
use asynctcp_loom::io::runtime::absence::Absence;
use asynctcp_loom::io::runtime::handover::Handover;
use loom::future::block_on;
use loom::sync::Arc;
use loom::thread;
use std::future::poll_fn;
use std::task::{Poll, Waker};

#[derive(Default)]
struct Loop {
    handover: Handover,
    absence: Absence,
}

impl Loop {
    /// An accept loop that the helper polls, until the pump is in the runtime. It may be polled for other reasons.
    fn accept(&self) {
        block_on(poll_fn(|context| {
            if self.handover.is_inside() {
                return Poll::Ready(());
            }
            self.absence.wait(context.waker());
            if self.handover.is_inside() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }));
    }

    fn come_back(&self) {
        self.handover.enter();
        self.absence.end();
    }
}

#[test]
fn two_who_wait_are_woken_when_python_comes_back() {
    check(3, || {
        let shared = Arc::new(Loop::default());
        let waiting = [(); 2].map(|()| {
            let shared = shared.clone();
            thread::spawn(move || shared.accept())
        });
        shared.come_back();
        for each in waiting {
            each.join().unwrap();
        }
    });
}

/// The pump is back once while one begins to wait, and another time for good.
#[test]
fn who_begins_to_wait_while_others_are_woken_is_woken_next_time() {
    check(5, || {
        let shared = Arc::new(Loop::default());
        shared.absence.wait(Waker::noop());
        let waiting = {
            let shared = shared.clone();
            thread::spawn(move || shared.accept())
        };
        shared.come_back();
        shared.handover.leave();
        shared.come_back();
        waiting.join().unwrap();
    });
}
