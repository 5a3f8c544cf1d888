//! The connections' tasks of a loop that pump and helper drive. Their root futures poll them, so that the runtime
//! returns as soon as the tasks that the kernel's events woke have queued theirs.
//!
//! As tasks of the runtime each drive would cost a second, non-blocking `epoll_wait`: the runtime looks for events
//! once more before it polls a root future that a task has woken.
//!
//! Whoever polls takes the [`Turn`] out, so tasks are polled by one thread at a time and under no lock.

use super::sync::{AtomicBool, Mutex, Ordering};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// What members are called for, and by whom they are polled.
#[derive(Default)]
struct Inner {
    /// Places of members that were woken.
    called: VecDeque<u32>,
    /// Of whoever drives.
    root: Option<Waker>,
}

/// Where wakers leave their calls.
#[derive(Default)]
struct Calls {
    /// Leaf lock.
    inner: Mutex<Inner>,
}

impl Calls {
    fn wake_root(&self) {
        let root = self.inner.lock().root.take();
        if let Some(root) = root {
            root.wake();
        }
    }
}

/// A task's waker.
struct Member {
    calls: Arc<Calls>,
    place: u32,
    /// It is among the called.
    called: AtomicBool,
}

impl Wake for Member {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.called.swap(true, Ordering::SeqCst) {
            return;
        }
        let root = {
            let mut inner = self.calls.inner.lock();
            inner.called.push_back(self.place);
            inner.root.take()
        };
        if let Some(root) = root {
            root.wake();
        }
    }
}

/// A task and its waker.
struct Place<T> {
    task: Option<T>,
    member: Arc<Member>,
    waker: Waker,
}

/// All tasks; in the hands of whoever polls.
struct Turn<T> {
    /// Boxed, so that room for many more costs little.
    places: Vec<Option<Box<Place<T>>>>,
    free: Vec<u32>,
    /// Called members that are still to be polled.
    next: VecDeque<u32>,
}

impl<T> Default for Turn<T> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
            next: VecDeque::new(),
        }
    }
}

/// See the module's page. `T` is a connection's task; loom's tests use a counter.
pub struct Crew<T> {
    calls: Arc<Calls>,
    /// Tasks that were not polled yet. Leaf lock.
    new: Mutex<Vec<T>>,
    /// None while somebody polls. Leaf lock.
    turn: Mutex<Option<Turn<T>>>,
}

impl<T> Default for Crew<T> {
    fn default() -> Self {
        Self {
            calls: Arc::default(),
            new: Mutex::new(Vec::new()),
            turn: Mutex::new(Some(Turn::default())),
        }
    }
}

impl<T: Future<Output = ()> + Unpin> Crew<T> {
    /// Takes a task on.
    pub fn add(&self, task: T) {
        self.new.lock().push(task);
        self.calls.wake_root();
    }

    /// Polls at most `most` called tasks. The caller's waker is called when there are more.
    pub fn poll(&self, context: &Context<'_>, most: usize) {
        // Registered before the turn is looked for: if another thread has it, that one sees the waker, or we its calls. A
        // helper may still register after the pump, but then it leaves the runtime, which polls the pump's root anew.
        self.calls.inner.lock().root = Some(context.waker().clone());
        let Some(mut turn) = self.turn.lock().take() else {
            return;
        };
        self.admit(&mut turn);
        for _ in 0..most {
            if turn.next.is_empty() {
                std::mem::swap(&mut self.calls.inner.lock().called, &mut turn.next);
            }
            let Some(place) = turn.next.pop_front() else {
                break;
            };
            turn.poll(place);
        }
        let more = !turn.next.is_empty();
        *self.turn.lock() = Some(turn);
        if more || self.is_called() {
            self.calls.wake_root();
        }
    }

    fn admit(&self, turn: &mut Turn<T>) {
        let new = std::mem::take(&mut *self.new.lock());
        for task in new {
            turn.insert(task, &self.calls);
        }
    }

    fn is_called(&self) -> bool {
        !self.calls.inner.lock().called.is_empty()
    }

    /// Takes all tasks out, when the loop has ended.
    pub fn dismiss(&self) -> impl Sized {
        let root = self.calls.inner.lock().root.take();
        let new = std::mem::take(&mut *self.new.lock());
        let turn = self.turn.lock().take();
        *self.turn.lock() = Some(Turn::default());
        (root, new, turn)
    }
}

impl<T: Future<Output = ()> + Unpin> Turn<T> {
    fn insert(&mut self, task: T, calls: &Arc<Calls>) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            // More connections than that do not exist.
            (self.places.len() - 1) as u32
        });
        let member = Arc::new(Member {
            calls: calls.clone(),
            place,
            called: AtomicBool::new(true),
        });
        let waker = Waker::from(member.clone());
        self.places[place as usize] = Some(Box::new(Place {
            task: Some(task),
            member,
            waker,
        }));
        self.next.push_back(place);
    }

    /// The member may be gone, and another in its place: that one is polled for nothing.
    fn poll(&mut self, index: u32) {
        let Some(place) = &mut self.places[index as usize] else {
            return;
        };
        // Before the poll, so that a call from now on counts; an exchange, so that what the caller did before is seen.
        place.member.called.swap(false, Ordering::SeqCst);
        let Place { task, waker, .. } = &mut **place;
        let polled = catch_unwind(AssertUnwindSafe(|| poll_task(task, waker)));
        if !matches!(polled, Ok(Poll::Pending)) {
            self.places[index as usize] = None;
            self.free.push(index);
        }
    }
}

/// Drops its task if that panics, while it does, so that the task's own `Drop` can tell.
struct Guard<'a, T>(&'a mut Option<T>);

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            *self.0 = None;
        }
    }
}

fn poll_task<T: Future<Output = ()> + Unpin>(task: &mut Option<T>, waker: &Waker) -> Poll<()> {
    let guard = Guard(task);
    match guard.0 {
        Some(task) => Pin::new(task).poll(&mut Context::from_waker(waker)),
        None => Poll::Ready(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

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
            *self.waker.lock() = Some(context.waker().clone());
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
            let waker = self.waker.lock().clone();
            waker.unwrap().wake();
        }
    }

    fn poll(crew: &Crew<Task>, most: usize) -> bool {
        struct Root(AtomicBool);
        impl Wake for Root {
            fn wake(self: Arc<Self>) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let root = Arc::new(Root(AtomicBool::new(false)));
        crew.poll(&Context::from_waker(&Waker::from(root.clone())), most);
        root.0.load(Ordering::SeqCst)
    }

    #[test]
    fn a_task_is_polled_when_it_is_added_and_when_it_is_woken_until_it_ends() {
        let (crew, seen) = (Crew::default(), Seen::default());
        crew.add(seen.task(3, 0));
        assert!(!poll(&crew, 9) && !poll(&crew, 9));
        assert_eq!(seen.counts(), (1, 0));
        for polls in [2, 3, 3] {
            seen.wake();
            seen.wake();
            poll(&crew, 9);
            assert_eq!(seen.counts(), (polls, polls / 3));
        }
    }

    #[test]
    fn tasks_beyond_the_batch_wake_the_root_and_are_polled_next() {
        let (crew, seen) = (Crew::default(), Seen::default());
        (0..5).for_each(|_| crew.add(seen.task(0, 0)));
        assert!(poll(&crew, 2) && poll(&crew, 2) && !poll(&crew, 2));
        assert_eq!(seen.counts(), (5, 0));
    }

    #[test]
    fn a_call_that_the_batch_did_not_reach_wakes_the_root() {
        let (crew, first, others) = (Crew::default(), Seen::default(), Seen::default());
        crew.add(first.task(0, 0));
        (0..2).for_each(|_| crew.add(others.task(0, 0)));
        assert!(poll(&crew, 2));
        first.wake();
        assert!(poll(&crew, 1) && !poll(&crew, 1));
        assert_eq!((first.counts(), others.counts()), ((2, 0), (2, 0)));
    }

    #[test]
    fn a_panic_ends_its_task_only_and_while_it_lasts() {
        let (crew, bad, good) = (Crew::default(), Seen::default(), Seen::default());
        crew.add(bad.task(0, 1));
        crew.add(good.task(0, 0));
        poll(&crew, 9);
        assert_eq!((bad.counts(), good.counts()), ((1, 100), (1, 0)));
    }

    #[test]
    fn a_place_is_used_again() {
        let crew = Crew::default();
        for _ in 0..10 {
            crew.add(Seen::default().task(1, 0));
            poll(&crew, 9);
        }
        assert_eq!(crew.turn.lock().as_ref().unwrap().places.len(), 1);
    }

    #[test]
    fn dismissed_tasks_are_dropped() {
        let (crew, seen) = (Crew::default(), Seen::default());
        (0..3).for_each(|_| crew.add(seen.task(0, 0)));
        poll(&crew, 2);
        crew.add(seen.task(0, 0));
        drop(crew.dismiss());
        assert_eq!(seen.counts().1, 4);
    }
}
