//! The connections' tasks of a loop that pump and helper drive. Their root futures poll them, so that the runtime
//! returns as soon as the tasks that the kernel's events woke have queued theirs.
//!
//! As tasks of the runtime each drive would cost a second, non-blocking `epoll_wait`: the runtime looks for events
//! once more before it polls a root future that a task has woken.
//!
//! Whoever polls takes the [`Tasks`] out, so they are polled by one thread at a time and under no lock.

use crate::io::sync::{AtomicBool, AtomicUsize, Mutex, Ordering};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// What a task is, whatever it does.
type AnyFuture = dyn Future<Output = ()> + Send + Unpin;

/// What the tasks' wakers, whoever adds tasks and whoever polls them have in common.
struct Inner {
    /// Indices of tasks that were woken.
    woken: VecDeque<u32>,
    /// Tasks that were not polled yet.
    new: Vec<Box<Task<AnyFuture>>>,
    /// Of whoever drives; taken by the first who wakes it.
    root: Option<Waker>,
    /// None while somebody polls.
    tasks: Option<Tasks>,
}

/// What is to be polled next.
struct WakeQueue {
    /// Leaf lock.
    inner: Mutex<Inner>,
}

impl Default for WakeQueue {
    fn default() -> Self {
        Self {
            inner: Mutex::new(Inner {
                woken: VecDeque::new(),
                new: Vec::new(),
                root: None,
                tasks: Some(Tasks::default()),
            }),
        }
    }
}

impl WakeQueue {
    /// Puts something in by `put`, for whoever polls next.
    fn put(&self, put: impl FnOnce(&mut Inner)) {
        let root = {
            let mut inner = self.inner.lock();
            put(&mut inner);
            inner.root.take()
        };
        if let Some(root) = root {
            root.wake();
        }
    }
}

/// What a task's waker is made of.
struct TaskWaker {
    queue: Arc<WakeQueue>,
    /// The task's, from before its first poll on.
    index: AtomicUsize,
    /// It is in the queue, or new.
    woken: AtomicBool,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::SeqCst) {
            // More tasks than that do not exist.
            let index = self.index.load(Ordering::Relaxed) as u32;
            self.queue.put(|inner| inner.woken.push_back(index));
        }
    }
}

/// A task and its waker, in one allocation: an idle connection costs its size.
struct Task<F: ?Sized> {
    woken_by: Arc<TaskWaker>,
    /// The same, as the task is told.
    waker: Waker,
    future: F,
}

/// All tasks; in the hands of whoever polls.
#[derive(Default)]
struct Tasks {
    /// By index.
    slots: Vec<Option<Box<Task<AnyFuture>>>>,
    free: Vec<u32>,
    /// Woken ones that are still to be polled.
    next: VecDeque<u32>,
}

/// See the module's page.
#[derive(Default)]
pub struct Scheduler {
    queue: Arc<WakeQueue>,
}

impl Scheduler {
    /// Takes all tasks out, when the loop has ended.
    pub fn dismiss(&self) -> impl Sized + use<> {
        let mut inner = self.queue.inner.lock();
        let tasks = inner.tasks.replace(Tasks::default());
        (inner.root.take(), std::mem::take(&mut inner.new), tasks)
    }

    /// Whether nobody polls at this moment. Whoever begins afterwards sees what was done before this was asked.
    pub fn is_idle(&self) -> bool {
        self.queue.inner.lock().tasks.is_some()
    }

    /// Has whoever drives poll once more, after it has looked for events.
    pub fn rouse(&self) {
        self.queue.put(|_| {});
    }

    /// Takes a task on.
    pub fn add(&self, future: impl Future<Output = ()> + Send + Unpin + 'static) {
        let woken_by = Arc::new(TaskWaker {
            queue: self.queue.clone(),
            index: AtomicUsize::new(0),
            woken: AtomicBool::new(true),
        });
        let task = Box::new(Task {
            waker: Waker::from(woken_by.clone()),
            woken_by,
            future,
        });
        self.queue.put(|inner| inner.new.push(task));
    }

    /// Polls at most `most` woken tasks, and no more once there is `enough`. The caller's waker is woken when there are
    /// more.
    pub fn poll(&self, context: &Context<'_>, most: usize, enough: impl Fn() -> bool) {
        let Some((mut tasks, new)) = self.begin(context.waker()) else {
            return;
        };
        for task in new {
            tasks.insert(task);
        }
        let mut left = most;
        let root = loop {
            left = tasks.poll_woken(left, &enough);
            let mut inner = self.queue.inner.lock();
            if tasks.next.is_empty() {
                std::mem::swap(&mut inner.woken, &mut tasks.next);
            }
            if left == 0 || tasks.next.is_empty() {
                let more = !tasks.next.is_empty() || !inner.new.is_empty();
                inner.tasks = Some(tasks);
                break if more { inner.root.take() } else { None };
            }
        };
        if let Some(root) = root {
            root.wake();
        }
    }

    /// Takes the tasks and the new ones, unless there is nothing to do or another thread polls.
    fn begin(&self, root: &Waker) -> Option<(Tasks, Vec<Box<Task<AnyFuture>>>)> {
        let _old;
        let mut inner = self.queue.inner.lock();
        // Registered before the tasks are looked for: if another thread has them, that one sees the waker, or we what was
        // woken. A helper may still register after the pump, but then it leaves the runtime, which polls the pump's root anew.
        let known = inner.root.as_ref();
        if known.is_none_or(|known| !known.will_wake(root)) {
            _old = inner.root.replace(root.clone());
        }
        let woken = !inner.woken.is_empty() || !inner.new.is_empty();
        let mut tasks = inner
            .tasks
            .take_if(|tasks| woken || !tasks.next.is_empty())?;
        if tasks.next.is_empty() {
            std::mem::swap(&mut inner.woken, &mut tasks.next);
        }
        Some((tasks, std::mem::take(&mut inner.new)))
    }
}

impl Drop for Scheduler {
    /// The tasks' wakers hold what holds the tasks.
    fn drop(&mut self) {
        drop(self.dismiss());
    }
}

impl Tasks {
    fn insert(&mut self, task: Box<Task<AnyFuture>>) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            (self.slots.len() - 1) as u32
        });
        task.woken_by.index.store(index as usize, Ordering::Relaxed);
        self.slots[index as usize] = Some(task);
        self.next.push_back(index);
    }

    /// Polls at most `left` of the woken; returns how many more it may be, 0 once there is `enough`.
    fn poll_woken(&mut self, mut left: usize, enough: impl Fn() -> bool) -> usize {
        while left > 0
            && let Some(index) = self.next.pop_front()
        {
            self.poll(index);
            left = if enough() { 0 } else { left - 1 };
        }
        left
    }

    /// The task may be gone, and another in its place: that one is polled for nothing.
    fn poll(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        let Some(task) = slot else {
            return;
        };
        // Before the poll, so that a wake-up from now on counts; an exchange, so that what was done before one is seen.
        task.woken_by.woken.swap(false, Ordering::SeqCst);
        let polled = catch_unwind(AssertUnwindSafe(|| poll_task(slot)));
        if !matches!(polled, Ok(Poll::Pending)) {
            *slot = None;
            self.free.push(index);
        }
    }
}

/// Drops its task if that panics, while it does, so that the task's own `Drop` can tell.
struct Guard<'a>(&'a mut Option<Box<Task<AnyFuture>>>);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            *self.0 = None;
        }
    }
}

fn poll_task(slot: &mut Option<Box<Task<AnyFuture>>>) -> Poll<()> {
    let guard = Guard(slot);
    let Some(task) = &mut *guard.0 else {
        return Poll::Ready(());
    };
    let task = &mut **task;
    Pin::new(&mut task.future).poll(&mut Context::from_waker(&task.waker))
}
