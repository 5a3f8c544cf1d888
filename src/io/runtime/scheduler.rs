//! The connections' tasks of a loop that pump and helper drive. Their root futures poll them, so that the runtime
//! returns as soon as the tasks that the kernel's events woke have queued theirs.
//!
//! As tasks of the runtime each drive would cost a second, non-blocking `epoll_wait`: the runtime looks for events
//! once more before it polls a root future that a task has woken.
//!
//! Whoever polls takes the [`Turn`] out, so tasks are polled by one thread at a time and under no lock.

use crate::io::sync::{AtomicBool, Mutex, Ordering};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// What the members' wakers, whoever adds tasks and whoever polls them have in common.
struct Inner<T> {
    /// Places of members that were woken.
    called: VecDeque<u32>,
    /// Tasks that were not polled yet.
    new: Vec<T>,
    /// Of whoever drives; taken by the first call.
    root: Option<Waker>,
    /// None while somebody polls.
    turn: Option<Turn<T>>,
}

/// Where wakers leave their calls.
struct Calls<T> {
    /// Leaf lock.
    inner: Mutex<Inner<T>>,
}

impl<T> Default for Calls<T> {
    fn default() -> Self {
        Self {
            inner: Mutex::new(Inner {
                called: VecDeque::new(),
                new: Vec::new(),
                root: None,
                turn: Some(Turn::default()),
            }),
        }
    }
}

impl<T> Calls<T> {
    /// Leaves something to be done for whoever polls next.
    fn leave(&self, leave: impl FnOnce(&mut Inner<T>)) {
        let root = {
            let mut inner = self.inner.lock();
            leave(&mut inner);
            inner.root.take()
        };
        if let Some(root) = root {
            root.wake();
        }
    }
}

/// A task's waker.
struct Member<T> {
    calls: Arc<Calls<T>>,
    place: u32,
    /// It is among the called.
    called: AtomicBool,
}

impl<T: Send + 'static> Wake for Member<T> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.called.swap(true, Ordering::SeqCst) {
            self.calls.leave(|inner| inner.called.push_back(self.place));
        }
    }
}

/// A task and its waker.
struct Place<T> {
    task: Option<T>,
    member: Arc<Member<T>>,
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
pub struct Scheduler<T> {
    calls: Arc<Calls<T>>,
}

impl<T> Default for Scheduler<T> {
    fn default() -> Self {
        Self {
            calls: Arc::default(),
        }
    }
}

impl<T> Scheduler<T> {
    /// Takes all tasks out, when the loop has ended.
    pub fn dismiss(&self) -> impl Sized + use<T> {
        let mut inner = self.calls.inner.lock();
        let turn = inner.turn.replace(Turn::default());
        (inner.root.take(), std::mem::take(&mut inner.new), turn)
    }
}

impl<T> Drop for Scheduler<T> {
    /// The members' wakers hold what holds the members.
    fn drop(&mut self) {
        drop(self.dismiss());
    }
}

impl<T: Future<Output = ()> + Unpin + Send + 'static> Scheduler<T> {
    /// Whether nobody polls at this moment. Whoever begins afterwards sees what was done before this was asked.
    pub fn is_idle(&self) -> bool {
        self.calls.inner.lock().turn.is_some()
    }

    /// Takes a task on.
    pub fn add(&self, task: T) {
        self.calls.leave(|inner| inner.new.push(task));
    }

    /// Polls at most `most` called tasks, and no more once there is `enough`. The caller's waker is called when there are
    /// more.
    pub fn poll(&self, context: &Context<'_>, most: usize, enough: impl Fn() -> bool) {
        let Some((mut turn, new)) = self.begin(context.waker()) else {
            return;
        };
        for task in new {
            turn.insert(task, &self.calls);
        }
        let mut left = most;
        let root = loop {
            left = turn.poll_called(left, &enough);
            let mut inner = self.calls.inner.lock();
            if turn.next.is_empty() {
                std::mem::swap(&mut inner.called, &mut turn.next);
            }
            if left == 0 || turn.next.is_empty() {
                let more = !turn.next.is_empty() || !inner.new.is_empty();
                inner.turn = Some(turn);
                break if more { inner.root.take() } else { None };
            }
        };
        if let Some(root) = root {
            root.wake();
        }
    }

    /// Takes the turn and the new tasks, unless there is nothing to do or another thread polls.
    fn begin(&self, root: &Waker) -> Option<(Turn<T>, Vec<T>)> {
        let _old;
        let mut inner = self.calls.inner.lock();
        // Registered before the turn is looked for: if another thread has it, that one sees the waker, or we its calls. A
        // helper may still register after the pump, but then it leaves the runtime, which polls the pump's root anew.
        let known = inner.root.as_ref();
        if known.is_none_or(|known| !known.will_wake(root)) {
            _old = inner.root.replace(root.clone());
        }
        let calls = !inner.called.is_empty() || !inner.new.is_empty();
        let mut turn = inner.turn.take_if(|turn| calls || !turn.next.is_empty())?;
        if turn.next.is_empty() {
            std::mem::swap(&mut inner.called, &mut turn.next);
        }
        Some((turn, std::mem::take(&mut inner.new)))
    }
}

impl<T: Future<Output = ()> + Unpin + Send + 'static> Turn<T> {
    fn insert(&mut self, task: T, calls: &Arc<Calls<T>>) {
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

    /// Polls at most `left` of the called; returns how many more it may be, 0 once there is `enough`.
    fn poll_called(&mut self, mut left: usize, enough: impl Fn() -> bool) -> usize {
        while left > 0
            && let Some(place) = self.next.pop_front()
        {
            self.poll(place);
            left = if enough() { 0 } else { left - 1 };
        }
        left
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
