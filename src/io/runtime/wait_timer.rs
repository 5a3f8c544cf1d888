//! Wakes whoever waits in the runtime until a time.
//!
//! A timer of Tokio's is put in and taken out under a lock, which costs as much as a fifth of an echo. The pump waits until the same
//! time in turn after turn, and mostly for an event that comes before: so one timer stays in, and is moved where it would come
//! too late, or has come.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use tokio::time::{Sleep, sleep_until};

/// One per pump. It holds the runtime: dropped before that, and not in a forked child.
#[derive(Default)]
pub(crate) struct WaitTimer(Option<Armed>);

struct Armed {
    sleep: Pin<Box<Sleep>>,
    /// Whom it wakes; None: it is to be polled first.
    waker: Option<Waker>,
}

impl WaitTimer {
    /// Ready at `due`, or later; else the caller's waker is woken then. In the runtime's context.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>, due: Instant) -> Poll<()> {
        let armed = self.0.get_or_insert_with(|| Armed {
            sleep: Box::pin(sleep_until(due.into())),
            waker: None,
        });
        let is_over = armed.sleep.is_elapsed();
        if is_over && Instant::now() >= due {
            return Poll::Ready(());
        }
        if is_over || armed.sleep.deadline().into_std() > due {
            armed.sleep.as_mut().reset(due.into());
            armed.waker = None;
        }
        let waker = context.waker();
        if armed.waker.as_ref().is_some_and(|it| it.will_wake(waker)) {
            return Poll::Pending;
        }
        armed.waker = Some(waker.clone());
        armed.sleep.as_mut().poll(context)
    }
}

#[cfg(test)]
mod tests {
    use super::WaitTimer;
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll, Wake, Waker};
    use std::time::{Duration, Instant};
    use tokio::runtime::{Builder, Runtime};

    const SHORT: Duration = Duration::from_millis(5);
    const LONG: Duration = Duration::from_secs(600);
    const BOUND: Duration = Duration::from_secs(30);

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn runtime() -> Runtime {
        Builder::new_current_thread().enable_time().build().unwrap()
    }

    /// How long the runtime took until the timer was ready.
    fn wait(runtime: &Runtime, timer: &mut WaitTimer, due: Instant) -> Duration {
        let since = Instant::now();
        let ready = poll_fn(|context| timer.poll(context, due));
        runtime
            .block_on(async { tokio::time::timeout(BOUND, ready).await })
            .unwrap();
        since.elapsed()
    }

    /// Polls once, as a turn in which something else comes first.
    fn look(runtime: &Runtime, timer: &mut WaitTimer, due: Instant) -> Poll<()> {
        runtime.block_on(poll_fn(|context| Poll::Ready(timer.poll(context, due))))
    }

    #[test]
    fn a_wait_lasts_until_it_is_due() {
        let (runtime, mut timer) = (runtime(), WaitTimer::default());
        for _ in 0..3 {
            let took = wait(&runtime, &mut timer, Instant::now() + SHORT);
            assert!(took >= SHORT - Duration::from_micros(100), "{took:?}");
        }
    }

    #[test]
    fn a_wait_that_is_due_already_is_over_at_once() {
        let (runtime, mut timer) = (runtime(), WaitTimer::default());
        let due = Instant::now();
        wait(&runtime, &mut timer, due);
        assert!(look(&runtime, &mut timer, due).is_ready());
    }

    #[test]
    fn a_wait_that_ends_earlier_than_the_one_before_moves_the_timer() {
        let (runtime, mut timer) = (runtime(), WaitTimer::default());
        assert!(look(&runtime, &mut timer, Instant::now() + LONG).is_pending());
        assert!(wait(&runtime, &mut timer, Instant::now() + SHORT) < BOUND);
    }

    #[test]
    fn a_wait_that_ends_later_than_the_one_before_lasts_until_then() {
        let (runtime, mut timer) = (runtime(), WaitTimer::default());
        assert!(look(&runtime, &mut timer, Instant::now() + SHORT).is_pending());
        let due = Instant::now() + 4 * SHORT;
        wait(&runtime, &mut timer, due);
        assert!(Instant::now() >= due);
    }

    #[test]
    fn a_waiter_with_another_waker_is_woken() {
        let (runtime, mut timer) = (runtime(), WaitTimer::default());
        let due = Instant::now() + SHORT;
        assert!(look(&runtime, &mut timer, due).is_pending());
        let counter = Arc::new(Counter::default());
        let waker = Waker::from(counter.clone());
        let first = runtime.block_on(async {
            timer
                .poll(&mut Context::from_waker(&waker), due)
                .is_pending()
        });
        assert!(first);
        runtime.block_on(async { tokio::time::sleep(4 * SHORT).await });
        assert_eq!(counter.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_timer_that_outlives_its_runtime_is_let_go() {
        let mut timer = WaitTimer::default();
        let runtime = runtime();
        assert!(look(&runtime, &mut timer, Instant::now() + LONG).is_pending());
        drop(runtime);
        drop(timer);
    }
}
