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

    /// Polls at most `most` called tasks, and no more once there is `enough`. The caller's waker is called when there are
    /// more.
    pub fn poll(&self, context: &Context<'_>, most: usize, enough: impl Fn() -> bool) {
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
            if enough() {
                break;
            }
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
