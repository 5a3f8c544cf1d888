//! What is left reaches the helper, if it is that which drives; else the pump's next drive.

use asynctcp_loom::check;
use asynctcp_loom::io::runtime::handover::Handover;
use asynctcp_loom::io::runtime::mailbox::Mailbox;
use loom::future::block_on;
use loom::sync::Arc;
use loom::thread;
use std::future::poll_fn;
use std::task::Poll;

#[derive(Default)]
struct Loop {
    handover: Handover,
    mailbox: Mailbox<u32>,
}

impl Loop {
    /// Python stays where it is, so nobody recalls the helper.
    fn post(&self, command: u32) {
        self.mailbox.put(command);
        if self.handover.helper_drives() && !self.mailbox.is_empty() {
            self.handover.wake_helper();
        }
    }

    /// Drives until so many were taken.
    fn help(&self, count: usize) -> Vec<u32> {
        let mut got = Vec::new();
        assert!(self.handover.take_over(self.handover.observe()));
        block_on(poll_fn(|context| {
            assert!(self.handover.poll_recalled(context).is_pending());
            if !self.mailbox.is_empty() {
                got.extend(self.mailbox.take());
            }
            if got.len() < count {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        }));
        got
    }
}

#[test]
fn all_that_is_left_reaches_a_helper_that_begins_to_drive() {
    check(3, || {
        let shared = Arc::new(Loop::default());
        let helper = {
            let shared = shared.clone();
            thread::spawn(move || shared.help(2))
        };
        shared.post(1);
        shared.post(2);
        assert_eq!(helper.join().unwrap(), [1, 2]);
    });
}

#[test]
fn two_who_leave_something_are_both_seen() {
    check(2, || {
        let shared = Arc::new(Loop::default());
        let other = {
            let shared = shared.clone();
            thread::spawn(move || shared.post(1))
        };
        let helper = {
            let shared = shared.clone();
            thread::spawn(move || shared.help(2))
        };
        shared.post(2);
        other.join().unwrap();
        assert_eq!(helper.join().unwrap().len(), 2);
    });
}
