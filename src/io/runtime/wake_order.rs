//! Has the tasks of a runtime with threads of its own polled in the order in which they were woken.
//!
//! Tokio's threads poll what was woken last first: each has a place for one task, ahead of its queue. So wakers leave their
//! tasks here. One task, which the first of them calls, wakes them in turn, and after them one that has nothing to do
//! and gets the place.

use crate::io::sync::{AtomicBool, Mutex, Ordering};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use tokio::runtime::Handle;

#[derive(Default)]
struct Inner {
    /// Tasks to be woken.
    woken: Vec<Waker>,
    /// Wakes them.
    caller: Option<Waker>,
    /// Has nothing to do.
    last: Option<Waker>,
    ended: bool,
}

/// One for each loop.
#[derive(Default)]
pub(crate) struct WakeOrder {
    /// Leaf lock.
    inner: Mutex<Inner>,
}

impl WakeOrder {
    /// Starts the two tasks, which end with the runtime.
    pub(crate) fn start(self: &Arc<Self>, runtime: &Handle) {
        let (order, mut calling) = (self.clone(), Vec::new());
        drop(runtime.spawn(poll_fn(move |context| {
            order.call(context.waker(), &mut calling)
        })));
        let order = self.clone();
        drop(runtime.spawn(poll_fn(move |context| order.come_last(context.waker()))));
    }

    /// The loop has ended: wakes nobody any more.
    pub(crate) fn end(&self) {
        let ended = Inner {
            ended: true,
            ..Inner::default()
        };
        let held = std::mem::replace(&mut *self.inner.lock(), ended);
        drop(held);
    }

    /// `future`, polled in its turn.
    pub(crate) fn in_order<F>(self: &Arc<Self>, future: F) -> InOrder<F> {
        InOrder {
            future,
            order: self.clone(),
            waker: None,
        }
    }

    fn put(&self, task: Waker) {
        let caller = {
            let mut inner = self.inner.lock();
            if inner.ended {
                return;
            }
            inner.woken.push(task);
            // Whoever came first has called, or the caller was not there yet and looks as it comes.
            (inner.woken.len() == 1).then(|| inner.caller.clone())
        };
        if let Some(caller) = caller.flatten() {
            caller.wake();
        }
    }

    /// `calling` is the caller's to keep, for its allocation.
    fn call(&self, caller: &Waker, calling: &mut Vec<Waker>) -> Poll<()> {
        let last = {
            let mut inner = self.inner.lock();
            inner.caller.get_or_insert_with(|| caller.clone());
            std::mem::swap(&mut inner.woken, calling);
            // One alone gets the place: from the queue another thread might take it, and would be woken for that.
            (calling.len() > 1).then(|| inner.last.clone())
        };
        calling.drain(..).for_each(Waker::wake);
        if let Some(last) = last.flatten() {
            last.wake();
        }
        Poll::Pending
    }

    fn come_last(&self, last: &Waker) -> Poll<()> {
        let mut inner = self.inner.lock();
        inner.last.get_or_insert_with(|| last.clone());
        Poll::Pending
    }
}

/// What a task's waker is made of.
struct Turn {
    order: Arc<WakeOrder>,
    /// Tokio's.
    task: Waker,
    polled: AtomicBool,
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // While it is polled Tokio itself lets the others go first. Who sees the poll that has just ended only comes early.
        if self.polled.load(Ordering::Relaxed) {
            self.task.wake_by_ref();
        } else {
            self.order.put(self.task.clone());
        }
    }
}

/// See [`WakeOrder::in_order`].
pub(crate) struct InOrder<F> {
    future: F,
    order: Arc<WakeOrder>,
    /// From the first poll on.
    waker: Option<(Arc<Turn>, Waker)>,
}

impl<F: Future + Unpin> Future for InOrder<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self {
            future,
            order,
            waker,
        } = &mut *self;
        let (turn, waker) = waker.get_or_insert_with(|| {
            let turn = Arc::new(Turn {
                order: order.clone(),
                task: context.waker().clone(),
                polled: AtomicBool::new(false),
            });
            (turn.clone(), turn.into())
        });
        turn.polled.store(true, Ordering::Relaxed);
        let polled = Pin::new(future).poll(&mut Context::from_waker(waker));
        turn.polled.store(false, Ordering::Relaxed);
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;
    use tokio::runtime::{Builder, Runtime};

    const DEADLINE: Duration = Duration::from_secs(20);
    const TASKS: usize = 5;

    fn started() -> (Runtime, Arc<WakeOrder>) {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .unwrap();
        let order = Arc::<WakeOrder>::default();
        order.start(runtime.handle());
        (runtime, order)
    }

    /// Tasks that tell each poll of theirs, with their wakers; all were polled once, one after the other.
    fn idle_tasks(runtime: &Runtime, order: &Arc<WakeOrder>) -> (Vec<Waker>, Receiver<usize>) {
        let (polled, polls) = channel();
        let (registered, wakers) = channel();
        let wakers = (0..TASKS).map(|number| {
            let (polled, registered) = (polled.clone(), registered.clone());
            drop(runtime.spawn(order.in_order(poll_fn(move |context| {
                let _ = registered.send(context.waker().clone());
                let _ = polled.send(number);
                Poll::<()>::Pending
            }))));
            assert_eq!(polls.recv_timeout(DEADLINE), Ok(number));
            wakers.recv_timeout(DEADLINE).unwrap()
        });
        (wakers.collect(), polls)
    }

    /// As Tokio's own thread does when the kernel tells of several.
    fn wake_together(runtime: &Runtime, wakers: Vec<Waker>) {
        drop(runtime.spawn(async move {
            for waker in wakers {
                waker.wake();
            }
        }));
    }

    #[test]
    fn tasks_that_one_thread_woke_together_are_polled_in_that_order() {
        let (runtime, order) = started();
        let (wakers, polls) = idle_tasks(&runtime, &order);
        for _ in 0..3 {
            wake_together(&runtime, wakers.clone());
            for number in 0..TASKS {
                assert_eq!(polls.recv_timeout(DEADLINE), Ok(number));
            }
        }
    }

    #[test]
    fn a_task_that_wakes_itself_lets_others_go_first() {
        let (runtime, order) = started();
        let (polled, polls) = channel();
        let mut first = true;
        drop(runtime.spawn(order.in_order(poll_fn(move |context| {
            if std::mem::take(&mut first) {
                for other in ["one", "another"] {
                    let polled = polled.clone();
                    drop(tokio::spawn(async move { polled.send(other) }));
                }
                context.waker().wake_by_ref();
            } else {
                let _ = polled.send("itself");
            }
            Poll::<()>::Pending
        }))));
        let polls = [(); 3].map(|()| polls.recv_timeout(DEADLINE).unwrap());
        assert_eq!(polls[2], "itself");
    }

    #[test]
    fn after_the_end_nothing_is_kept() {
        let (runtime, order) = started();
        let (wakers, _polls) = idle_tasks(&runtime, &order);
        order.end();
        wakers.into_iter().for_each(Waker::wake);
        let inner = order.inner.lock();
        assert!(inner.woken.is_empty() && inner.caller.is_none() && inner.last.is_none());
    }
}
