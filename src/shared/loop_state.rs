//! What all Python objects of one loop share on the pump side: the table of sockets and servers, timers, what other
//! threads left to do, and where the loop is in its life.
//!
//! Everything here is used with the interpreter's lock held. The mutexes are short sections for the sake of other
//! Python threads; no Python object is made, called or dropped under any of them (a collection could run a `__del__`
//! that comes back here).

use crate::boundary::buffer_pool::BufferPool;
use crate::boundary::condition;
use crate::boundary::coroutine;
use crate::boundary::fork::forks;
use crate::io::conn::link::Link;
use crate::io::event::Event;
use crate::io::hub::Hub;
use crate::io::inbox::memory::Limits;
use crate::io::keys::Key;
use crate::io::sync::Mutex;
use crate::io::sys::platform;
use crate::shared::beat::Beat;
use crate::shared::closings::Closings;
use crate::shared::idlers::Idlers;
use crate::shared::posts::{PostBox, Posts};
use crate::shared::replaced::Replaced;
use crate::shared::table::{Freed, Table};
use crate::shared::timers::Timers;
use pyo3::prelude::*;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};

/// Where a loop is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Life {
    /// Never run.
    Fresh,
    /// Between begin and end.
    Running,
    /// Everything is closed.
    Ended,
}

/// Totals since the loop began. Added to with the interpreter's lock held, so by one thread at a time.
#[derive(Default)]
pub struct Totals {
    /// Callbacks made and events handled.
    pub events: AtomicU64,
    /// Bytes delivered to callbacks and streams.
    pub bytes_read: AtomicU64,
    /// Bytes accepted from the app.
    pub bytes_written: AtomicU64,
}

/// See the module's page.
pub struct LoopState {
    /// The I/O side.
    pub hub: Arc<Hub>,
    /// Totals for `stats`.
    pub totals: Totals,
    /// What the I/O side uses of Python's memory.
    pub buffers: BufferPool,
    /// `delay` and `interval`.
    pub timers: Timers,
    /// What runs when nothing else is to be done.
    pub idlers: Idlers,
    /// `close_cb`s that are to run.
    pub closings: Closings,
    /// Callbacks that were told of, as they returned an awaitable.
    pub warned_functions: coroutine::WarnedFunctions,
    life: AtomicU8,
    /// Also its exit callbacks have run.
    closed: AtomicBool,
    /// The thread that runs it, as Python numbers it; 0: none yet.
    thread: AtomicUsize,
    exit_callbacks: Mutex<VecDeque<Py<PyAny>>>,
    /// Of the process's, while it runs.
    pub replaced: Replaced,
    exiting: AtomicBool,
    /// What its keys name.
    pub table: Table,
    posts: PostBox,
    /// [`forks`] when it was made.
    forks: u32,
    /// Notifiers and signal handlers that keep the loop alive.
    holds: AtomicUsize,
    /// Of a loop in debug mode only.
    beat: Option<Beat>,
}

impl LoopState {
    /// For a loop that has not begun.
    pub fn new(limits: Limits, debug: bool) -> Arc<Self> {
        let hub = Hub::new(limits);
        Arc::new(Self {
            buffers: BufferPool::new(hub.inbox.returns.clone()),
            hub,
            totals: Totals::default(),
            timers: Timers::default(),
            idlers: Idlers::default(),
            closings: Closings::default(),
            warned_functions: coroutine::WarnedFunctions::default(),
            life: AtomicU8::new(Life::Fresh as u8),
            closed: AtomicBool::new(false),
            thread: AtomicUsize::new(0),
            exit_callbacks: Mutex::new(VecDeque::new()),
            replaced: Replaced::default(),
            exiting: AtomicBool::new(false),
            table: Table::default(),
            posts: PostBox::default(),
            holds: AtomicUsize::new(0),
            beat: debug.then(Beat::default),
            forks: forks(),
        })
    }

    /// Whether this is a forked child's copy: locks of it may be held by threads that the child has not.
    pub fn is_forked(&self) -> bool {
        self.forks != forks()
    }

    /// `EventLoopError` in a forked child.
    pub fn check_process(&self, py: Python<'_>) -> PyResult<()> {
        if self.is_forked() {
            return Err(condition::loop_error(
                py,
                "the event loop belongs to the parent process",
            ));
        }
        Ok(())
    }

    /// Where the loop is in its life.
    pub fn life(&self) -> Life {
        match self.life.load(Ordering::SeqCst) {
            0 => Life::Fresh,
            1 => Life::Running,
            _ => Life::Ended,
        }
    }

    /// Moves it on.
    pub fn set_life(&self, life: Life) {
        self.life.store(life as u8, Ordering::SeqCst);
    }

    /// This thread runs it.
    pub fn set_thread(&self) {
        self.give_to(platform::this_thread());
    }

    /// That thread runs it, as Python numbers it.
    pub fn give_to(&self, thread: usize) {
        self.thread.store(thread, Ordering::Relaxed);
    }

    /// The thread that runs it; 0: none yet.
    pub fn thread(&self) -> usize {
        self.thread.load(Ordering::Relaxed)
    }

    /// Whether it is this thread's to run and to end.
    pub fn is_own_thread(&self) -> bool {
        matches!(self.thread(), 0) || self.thread() == platform::this_thread()
    }

    /// Its exit callbacks have run as well.
    pub fn set_closed(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Whether the last step of its end is done.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// To be called when the loop has ended.
    pub fn add_exit_callback(&self, callback: Py<PyAny>) {
        self.exit_callbacks.lock().push_back(callback);
    }

    /// The next to be called, each once.
    pub fn next_exit_callback(&self) -> Option<Py<PyAny>> {
        self.exit_callbacks.lock().pop_front()
    }

    /// All that were not called.
    pub fn take_exit_callbacks(&self) -> VecDeque<Py<PyAny>> {
        std::mem::take(&mut *self.exit_callbacks.lock())
    }

    /// `exit_event_loop` was called: no further callback runs.
    pub fn is_exiting(&self) -> bool {
        self.exiting.load(Ordering::SeqCst)
    }

    /// Asks the loop to end. Any thread.
    pub fn exit(&self) {
        self.exiting.store(true, Ordering::SeqCst);
        self.nudge();
    }

    /// Whether anything keeps the loop running.
    pub fn is_alive(&self) -> bool {
        self.hub.keys.alive() > 0
            || !self.table.is_empty()
            || self.holds.load(Ordering::SeqCst) > 0
            || self.timers.any_alive()
            || self.idlers.count() > 0
            || self.has_posts()
            || !self.hub.inbox.queue.is_empty()
    }

    /// One more thing keeps the loop alive.
    pub fn add_hold(&self) {
        self.holds.fetch_add(1, Ordering::SeqCst);
    }

    /// One of them does not any more.
    pub fn drop_hold(&self) {
        self.holds.fetch_sub(1, Ordering::SeqCst);
        self.nudge();
    }

    /// Takes the object of `key` out of the table; the caller drops it.
    pub fn remove(&self, key: Key) -> Option<Py<PyAny>> {
        let (object, freed) = self.table.remove(key)?;
        if freed == Freed::Yes {
            self.hub.keys.free_key(key);
        }
        Some(object)
    }

    /// The task of `key` has ended.
    pub fn task_ended(&self, key: Key) {
        if self.table.task_ended(key) == Freed::Yes {
            self.hub.keys.free_key(key);
        }
    }

    /// What debug mode looks at; None: it is off.
    pub fn beat(&self) -> Option<&Beat> {
        self.beat.as_ref()
    }

    /// In debug mode, has Python remember where `made` was made.
    pub fn remember(&self, made: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.beat.is_none() {
            return Ok(());
        }
        let debug = made.py().import("asynctcp._debug")?;
        debug.call_method1("remember", (made,)).map(drop)
    }

    /// `link` is to be flushed, whatever was staged.
    pub fn mark_dirty(&self, link: &Arc<Link>) {
        if link.mark_dirty() {
            self.flush_later(link);
        }
    }

    /// `link` is to be flushed and not on the list yet. In the loop's thread that happens at the end of the batch.
    #[inline(always)]
    pub fn flush_later(&self, link: &Arc<Link>) {
        self.hub.reactor.flush_later(link);
        if !self.is_current() {
            self.hub.inbox.push_urgent(Event::Nudge);
        }
    }

    /// Lets the pump take a turn. In its own thread it will in any case; a helper that drives meanwhile looks at once.
    pub fn nudge(&self) {
        if self.is_forked() {
            return;
        }
        if self.is_current() {
            self.hub.reactor.kick_helper();
        } else {
            self.hub.inbox.push_urgent(Event::Nudge);
        }
    }

    /// Leaves something for the next turn. Any thread.
    pub fn post(&self, leave: impl FnOnce(&mut Posts)) {
        self.posts.leave(leave);
        self.nudge();
    }

    /// What was left.
    pub fn take_posts(&self) -> Posts {
        self.posts.take()
    }

    /// Whether anything was left, `close_cb`s included.
    pub fn has_posts(&self) -> bool {
        self.posts.has_any() || self.closings.len() > 0
    }

    /// Whether something is to be done that the loop's own thread left, which wakes nobody: timers aside.
    pub fn has_own_work(&self) -> bool {
        self.is_exiting() || self.has_posts() || self.hub.reactor.is_dirty()
    }

    /// Visits what the loop owns, for Python's garbage collector: no lock is waited for.
    pub fn visit(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        self.posts.visit(visit)?;
        if let Some(callbacks) = self.exit_callbacks.try_lock() {
            callbacks.iter().try_for_each(|one| visit.call(one))?;
        }
        self.closings.visit(visit)?;
        self.timers.visit(visit)?;
        self.idlers.visit(visit)?;
        self.table.visit(visit)
    }
}
