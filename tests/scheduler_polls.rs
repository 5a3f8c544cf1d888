//! Which tasks a scheduler polls, and when.

#![allow(clippy::unwrap_used)]

use asynctcp::io::runtime::scheduler::Scheduler;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

/// Counts its polls and drops, and leaves its waker; ends, or panics, at the poll of that number.
struct Task {
    polls: Arc<AtomicUsize>,
    drops: Arc<AtomicUsize>,
    waker: Arc<Mutex<Option<Waker>>>,
    ends: usize,
    panics: usize,
}

impl Future for Task {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        *self.waker.lock().unwrap() = Some(context.waker().clone());
        let polls = self.polls.fetch_add(1, Ordering::SeqCst) + 1;
        assert!(polls != self.panics, "on purpose");
        if polls == self.ends {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let panicking = if std::thread::panicking() { 100 } else { 1 };
        self.drops.fetch_add(panicking, Ordering::SeqCst);
    }
}

#[derive(Default)]
struct Seen {
    polls: Arc<AtomicUsize>,
    drops: Arc<AtomicUsize>,
    waker: Arc<Mutex<Option<Waker>>>,
}

impl Seen {
    fn task(&self, ends: usize, panics: usize) -> Task {
        Task {
            polls: self.polls.clone(),
            drops: self.drops.clone(),
            waker: self.waker.clone(),
            ends,
            panics,
        }
    }

    fn counts(&self) -> (usize, usize) {
        (
            self.polls.load(Ordering::SeqCst),
            self.drops.load(Ordering::SeqCst),
        )
    }

    fn wake(&self) {
        let waker = self.waker.lock().unwrap().clone();
        waker.unwrap().wake();
    }
}

fn poll(scheduler: &Scheduler, most: usize) -> bool {
    struct Root(AtomicBool);
    impl Wake for Root {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let root = Arc::new(Root(AtomicBool::new(false)));
    scheduler.poll(
        &Context::from_waker(&Waker::from(root.clone())),
        most,
        || false,
    );
    root.0.load(Ordering::SeqCst)
}

#[test]
fn a_task_is_polled_when_it_is_added_and_when_it_is_woken_until_it_ends() {
    let (scheduler, seen) = (Scheduler::default(), Seen::default());
    scheduler.add(seen.task(3, 0));
    assert!(!poll(&scheduler, 9) && !poll(&scheduler, 9));
    assert_eq!(seen.counts(), (1, 0));
    for polls in [2, 3, 3] {
        seen.wake();
        seen.wake();
        poll(&scheduler, 9);
        assert_eq!(seen.counts(), (polls, polls / 3));
    }
}

#[test]
fn tasks_beyond_the_batch_wake_the_root_and_are_polled_next() {
    let (scheduler, seen) = (Scheduler::default(), Seen::default());
    (0..5).for_each(|_| scheduler.add(seen.task(0, 0)));
    assert!(poll(&scheduler, 2) && poll(&scheduler, 2) && !poll(&scheduler, 2));
    assert_eq!(seen.counts(), (5, 0));
}

#[test]
fn a_call_that_the_batch_did_not_reach_wakes_the_root() {
    let (scheduler, first, others) = (Scheduler::default(), Seen::default(), Seen::default());
    scheduler.add(first.task(0, 0));
    (0..2).for_each(|_| scheduler.add(others.task(0, 0)));
    assert!(poll(&scheduler, 2));
    first.wake();
    assert!(poll(&scheduler, 1) && !poll(&scheduler, 1));
    assert_eq!((first.counts(), others.counts()), ((2, 0), (2, 0)));
}

#[test]
fn a_panic_ends_its_task_only_and_while_it_lasts() {
    let (scheduler, bad, good) = (Scheduler::default(), Seen::default(), Seen::default());
    scheduler.add(bad.task(0, 1));
    scheduler.add(good.task(0, 0));
    poll(&scheduler, 9);
    assert_eq!((bad.counts(), good.counts()), ((1, 100), (1, 0)));
}

#[test]
fn dismissed_tasks_are_dropped() {
    let (scheduler, seen) = (Scheduler::default(), Seen::default());
    (0..3).for_each(|_| scheduler.add(seen.task(0, 0)));
    poll(&scheduler, 2);
    scheduler.add(seen.task(0, 0));
    drop(scheduler.dismiss());
    assert_eq!(seen.counts().1, 4);
}
