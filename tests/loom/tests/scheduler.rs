//! Tasks that are woken while they are polled, by one root or two.

use asynctcp_loom::check;
use asynctcp_loom::io::runtime::scheduler::Scheduler;
use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

/// Is over when a number has been reached that other threads count up to, each with a call of its waker.
struct Task {
    count: Arc<AtomicUsize>,
    over_at: usize,
    ended: Arc<AtomicUsize>,
    waker: Arc<Mutex<Option<Waker>>>,
}

impl Future for Task {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        *self.waker.lock().unwrap() = Some(context.waker().clone());
        if self.count.load(Ordering::SeqCst) < self.over_at {
            return Poll::Pending;
        }
        self.ended.fetch_add(1, Ordering::SeqCst);
        Poll::Ready(())
    }
}

#[derive(Clone, Default)]
struct Model {
    count: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    waker: Arc<Mutex<Option<Waker>>>,
}

impl Model {
    fn task(&self, over_at: usize) -> Task {
        Task {
            count: self.count.clone(),
            over_at,
            ended: self.ended.clone(),
            waker: self.waker.clone(),
        }
    }

    fn count_and_wake(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
        let waker = self.waker.lock().unwrap().clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Drives until the task has ended; loom reports a deadlock if a call is lost.
    fn drive(&self, scheduler: &Scheduler) {
        block_on(poll_fn(|context| {
            if self.ended.load(Ordering::SeqCst) > 0 {
                return Poll::Ready(());
            }
            scheduler.poll(context, 1, || false);
            if self.ended.load(Ordering::SeqCst) > 0 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }));
    }
}

#[test]
fn a_call_during_a_poll_is_not_lost() {
    check(3, || {
        let (model, scheduler) = (Model::default(), Scheduler::default());
        scheduler.add(model.task(2));
        // The first poll leaves the waker.
        scheduler.poll(&Context::from_waker(Waker::noop()), 1, || false);
        for _ in 0..2 {
            let model = model.clone();
            thread::spawn(move || model.count_and_wake());
        }
        model.drive(&scheduler);
    });
}

#[test]
fn a_task_that_another_thread_adds_is_polled() {
    check(3, || {
        let (model, scheduler) = (Model::default(), Arc::new(Scheduler::default()));
        let adder = {
            let (model, scheduler) = (model.clone(), scheduler.clone());
            thread::spawn(move || scheduler.add(model.task(0)))
        };
        model.drive(&scheduler);
        adder.join().unwrap();
    });
}

/// The pump comes back while the helper polls: it polls once beside it, and drives when the helper has left.
#[test]
fn a_call_while_the_helper_polls_reaches_the_pump() {
    check(2, || {
        let (model, scheduler) = (Model::default(), Arc::new(Scheduler::default()));
        scheduler.add(model.task(1));
        let once = |scheduler: &Scheduler| {
            scheduler.poll(&Context::from_waker(Waker::noop()), 1, || false)
        };
        once(&scheduler);
        let helper = {
            let scheduler = scheduler.clone();
            thread::spawn(move || once(&scheduler))
        };
        let waking = {
            let model = model.clone();
            thread::spawn(move || model.count_and_wake())
        };
        once(&scheduler);
        helper.join().unwrap();
        model.drive(&scheduler);
        waking.join().unwrap();
    });
}
