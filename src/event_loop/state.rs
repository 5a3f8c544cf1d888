//! What all Python objects of one loop share on the pump side: the table of sockets and servers, the list of links
//! to flush, timers, what other threads left to do, and the loop's options.
//!
//! Everything here is used with the interpreter's lock held. The mutexes are short sections for the sake of other
//! Python threads; no Python object is made, called or dropped under any of them (a collection could run a `__del__`
//! that comes back here).

use crate::boundary::condition;
use crate::boundary::coroutine;
use crate::boundary::lender::Lender;
use crate::event_loop::beat::Beat;
use crate::event_loop::wakeup::Exchanged;
use crate::io::conn::link::Link;
use crate::io::event::Event;
use crate::io::hub::{Hub, Key, Limits};
use crate::io::sync::Mutex;
use crate::objects::lookup::Lookup;
use crate::objects::notifier::Notifier;
use crate::objects::server::TcpServer;
use crate::objects::timer::Timers;
use crate::socket::Socket;
use crate::socket::ending::Closings;
use pyo3::prelude::*;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Grows in the child of each fork: a loop of an earlier number is the parent's.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// How many forks lie between the first process and this one.
pub fn forks() -> u32 {
    FORKS.load(Ordering::Relaxed)
}

/// To be called in a forked child, before anything else of this library: it only counts and forgets.
pub fn forked() {
    FORKS.fetch_add(1, Ordering::SeqCst);
    // Not dropped: its runtime is shared with the parent.
    std::mem::forget(CURRENT.take());
}

thread_local! {
    /// The loop that runs in this thread, or whose block is open in it.
    static CURRENT: RefCell<Option<Arc<Core>>> = const { RefCell::new(None) };
}

/// As `threading.get_ident()` numbers it.
fn this_thread() -> usize {
    // SAFETY: it cannot fail, and only looks.
    unsafe { libc::pthread_self() as usize }
}

/// What a key of the table names.
pub enum Entry {
    /// A socket that connects or is connected.
    Socket(Py<Socket>),
    /// An open server.
    Server(Py<TcpServer>),
    /// A lookup of the app's.
    Lookup(Arc<Lookup>),
}

impl Entry {
    fn clone_ref(&self, py: Python<'_>) -> Self {
        match self {
            Self::Socket(socket) => Self::Socket(socket.clone_ref(py)),
            Self::Server(server) => Self::Server(server.clone_ref(py)),
            Self::Lookup(lookup) => Self::Lookup(lookup.clone()),
        }
    }
}

#[derive(Default)]
struct Slot {
    generation: u32,
    entry: Option<Entry>,
    /// Its task has ended; the key is free once the entry is gone as well.
    gone: bool,
}

#[derive(Default)]
struct Table {
    slots: Vec<Slot>,
    used: usize,
}

impl Table {
    fn slot(&mut self, key: Key) -> Option<&mut Slot> {
        self.slots
            .get_mut(key.index as usize)
            .filter(|slot| slot.generation == key.generation)
    }
}

/// What a [`Call`] calls.
pub enum Posted {
    /// This.
    Function(Py<PyAny>),
    /// A notifier's callback.
    Notifier(Py<Notifier>),
}

impl Posted {
    /// What to call now; None: nothing any more.
    pub fn take<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        match self {
            Self::Function(function) => Some(function.bind(py).clone()),
            Self::Notifier(notifier) => notifier.get().begin(py),
        }
    }
}

/// A function that another thread (or this one) wants to run in the loop.
pub struct Call {
    /// The function.
    pub function: Posted,
    /// Its arguments.
    pub arguments: Py<pyo3::types::PyTuple>,
    /// Where its exception goes.
    pub event_cb: Option<Py<PyAny>>,
}

/// What shall be done in the next turn, ahead of events.
#[derive(Default)]
pub struct Posts {
    /// `call_soon_threadsafe`.
    pub calls: VecDeque<Call>,
    /// Sockets whose held data can be delivered.
    pub resumed: VecDeque<Py<Socket>>,
    /// Sockets of which a write met the failure that waits behind held data.
    pub met: VecDeque<Py<Socket>>,
}

impl Posts {
    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.resumed.is_empty() && self.met.is_empty()
    }
}

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
pub struct Core {
    /// The I/O side.
    pub hub: Arc<Hub>,
    /// Totals for `stats`.
    pub totals: Totals,
    /// What the I/O side uses of Python's memory.
    pub lender: Lender,
    /// `delay` and `interval`.
    pub timers: Timers,
    /// `close_cb`s that are to run.
    pub closings: Closings,
    /// Callbacks that were told of, as they returned an awaitable.
    pub told_awaitables: coroutine::Told,
    life: AtomicU8,
    /// Also its exit callbacks have run.
    closed: AtomicBool,
    /// The thread that runs it, as Python numbers it; 0: none yet.
    thread: AtomicUsize,
    exit_callbacks: Mutex<VecDeque<Py<PyAny>>>,
    /// Signals that it handles, and what handled them before.
    signals: Mutex<Vec<(i32, Py<PyAny>)>>,
    wakeup: Mutex<Option<Exchanged>>,
    exiting: AtomicBool,
    table: Mutex<Table>,
    posts: Mutex<Posts>,
    /// There are some. The interpreter's lock keeps the two in step.
    posted: AtomicBool,
    /// [`FORKS`] when it was made.
    forks: u32,
    /// Notifiers and signal handlers that keep the loop alive.
    holds: AtomicUsize,
    /// Of a loop in debug mode only.
    beat: Option<Beat>,
}

impl Core {
    /// For a loop that has not begun.
    pub fn new(limits: Limits, debug: bool) -> Arc<Self> {
        let hub = Hub::new(limits);
        Arc::new(Self {
            lender: Lender::new(hub.returns.clone()),
            hub,
            totals: Totals::default(),
            timers: Timers::default(),
            closings: Closings::default(),
            told_awaitables: coroutine::Told::default(),
            life: AtomicU8::new(Life::Fresh as u8),
            closed: AtomicBool::new(false),
            thread: AtomicUsize::new(0),
            exit_callbacks: Mutex::new(VecDeque::new()),
            signals: Mutex::new(Vec::new()),
            wakeup: Mutex::new(None),
            exiting: AtomicBool::new(false),
            table: Mutex::new(Table::default()),
            posts: Mutex::new(Posts::default()),
            posted: AtomicBool::new(false),
            holds: AtomicUsize::new(0),
            beat: debug.then(Beat::default),
            forks: FORKS.load(Ordering::SeqCst),
        })
    }

    /// Whether this is a forked child's copy: locks of it may be held by threads that the child has not.
    pub fn is_forked(&self) -> bool {
        self.forks != FORKS.load(Ordering::Relaxed)
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

    /// The loop of this thread, or `EventLoopError`.
    pub fn current(py: Python<'_>) -> PyResult<Arc<Self>> {
        CURRENT
            .with_borrow(Clone::clone)
            .ok_or_else(|| condition::no_loop(py))
    }

    /// Makes this the thread's loop; returns the one before.
    pub fn make_current(core: Option<Arc<Self>>) -> Option<Arc<Self>> {
        CURRENT.replace(core)
    }

    /// Whether this thread runs the loop.
    pub fn is_current(&self) -> bool {
        CURRENT.with_borrow(|current| {
            current
                .as_ref()
                .is_some_and(|core| std::ptr::eq(&raw const **core, self))
        })
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
        self.thread.store(this_thread(), Ordering::Relaxed);
    }

    /// The thread that runs it; 0: none yet.
    pub fn thread(&self) -> usize {
        self.thread.load(Ordering::Relaxed)
    }

    /// Whether it is this thread's to run and to end.
    pub fn is_own_thread(&self) -> bool {
        matches!(self.thread(), 0) || self.thread() == this_thread()
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

    /// Which wake-up descriptors were exchanged; returns what was there.
    pub fn set_wakeup(&self, exchanged: Option<Exchanged>) -> Option<Exchanged> {
        std::mem::replace(&mut *self.wakeup.lock(), exchanged)
    }

    /// `number` is handled by the loop, and was by `before`. Of a signal that it handled already: gives `before` back.
    pub fn keep_signal(&self, number: i32, before: Py<PyAny>) -> Option<Py<PyAny>> {
        let mut signals = self.signals.lock();
        if signals.iter().any(|(kept, _)| *kept == number) {
            return Some(before);
        }
        signals.push((number, before));
        None
    }

    /// The signals that it handles.
    pub fn kept_signals(&self) -> Vec<i32> {
        self.signals.lock().iter().map(|(kept, _)| *kept).collect()
    }

    /// What handled the signal before.
    pub fn kept_signal(&self, py: Python<'_>, number: i32) -> Option<Py<PyAny>> {
        let signals = self.signals.lock();
        let (_, before) = signals.iter().find(|(kept, _)| *kept == number)?;
        Some(before.clone_ref(py))
    }

    /// The loop handles it no more; the caller drops what handled it before.
    pub fn drop_signal(&self, number: i32) -> Option<Py<PyAny>> {
        let mut signals = self.signals.lock();
        let place = signals.iter().position(|(kept, _)| *kept == number)?;
        Some(signals.swap_remove(place).1)
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
        self.hub.alive() > 0
            || self.table.lock().used > 0
            || self.holds.load(Ordering::SeqCst) > 0
            || self.timers.any_alive()
            || self.has_posts()
            || !self.hub.queue.is_empty()
    }

    /// One more thing keeps the loop alive, or one less.
    pub fn hold(&self, on: bool) {
        if on {
            self.holds.fetch_add(1, Ordering::SeqCst);
        } else {
            self.holds.fetch_sub(1, Ordering::SeqCst);
            self.nudge();
        }
    }

    /// Gives `key` to an entry.
    pub fn insert(&self, key: Key, entry: Entry) {
        let mut table = self.table.lock();
        let index = key.index as usize;
        if table.slots.len() <= index {
            table.slots.resize_with(index + 1, Slot::default);
        }
        table.used += 1;
        table.slots[index] = Slot {
            generation: key.generation,
            entry: Some(entry),
            gone: false,
        };
    }

    /// The entry of `key`, unless it is gone.
    pub fn entry(&self, py: Python<'_>, key: Key) -> Option<Entry> {
        let mut table = self.table.lock();
        table
            .slot(key)?
            .entry
            .as_ref()
            .map(|entry| entry.clone_ref(py))
    }

    /// The socket of `key`.
    pub fn socket(&self, py: Python<'_>, key: Key) -> Option<Py<Socket>> {
        let mut table = self.table.lock();
        match table.slot(key)?.entry.as_ref()? {
            Entry::Socket(socket) => Some(socket.clone_ref(py)),
            Entry::Server(_) | Entry::Lookup(_) => None,
        }
    }

    /// Takes the entry of `key` out; the caller drops it.
    pub fn remove(&self, key: Key) -> Option<Entry> {
        let mut table = self.table.lock();
        let slot = table.slot(key)?;
        let entry = slot.entry.take()?;
        let free = slot.gone;
        table.used -= 1;
        drop(table);
        if free {
            self.hub.free_key(key);
        }
        Some(entry)
    }

    /// The task of `key` has ended.
    pub fn gone(&self, key: Key) {
        let waits = {
            let mut table = self.table.lock();
            table
                .slot(key)
                .filter(|slot| slot.entry.is_some())
                .map(|slot| slot.gone = true)
                .is_some()
        };
        if !waits {
            self.hub.free_key(key);
        }
    }

    /// Empties the table, when the loop ends.
    pub fn take_all(&self) -> Vec<Entry> {
        let mut table = self.table.lock();
        table.used = 0;
        table
            .slots
            .drain(..)
            .filter_map(|slot| slot.entry)
            .collect()
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

    /// The open sockets and servers.
    pub fn open_objects(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        // The list grows, but no Python is called under the lock.
        let table = self.table.lock();
        let entries = table.slots.iter().filter_map(|slot| slot.entry.as_ref());
        entries
            .filter_map(|entry| match entry {
                Entry::Socket(socket) => Some(socket.clone_ref(py).into_any()),
                Entry::Server(server) => Some(server.clone_ref(py).into_any()),
                Entry::Lookup(_) => None,
            })
            .collect()
    }

    /// The open sockets that came from `server`.
    pub fn sockets_of(&self, server: &Bound<'_, TcpServer>) -> Vec<Py<Socket>> {
        let py = server.py();
        let table = self.table.lock();
        let entries = table.slots.iter().filter_map(|slot| slot.entry.as_ref());
        entries
            .filter_map(|entry| match entry {
                Entry::Socket(socket) if socket.get().is_of(server) => Some(socket.clone_ref(py)),
                Entry::Socket(_) | Entry::Server(_) | Entry::Lookup(_) => None,
            })
            .collect()
    }

    /// How many servers, accepted sockets and outgoing sockets are open.
    pub fn census(&self) -> (usize, usize, usize) {
        let table = self.table.lock();
        let mut counts = (0, 0, 0);
        for entry in table.slots.iter().filter_map(|slot| slot.entry.as_ref()) {
            match entry {
                Entry::Server(_) => counts.0 += 1,
                Entry::Lookup(_) => {}
                Entry::Socket(socket) if socket.get().is_accepted() => counts.1 += 1,
                Entry::Socket(_) => counts.2 += 1,
            }
        }
        counts
    }

    /// `link` has something to flush. In the loop's thread that happens at the end of the batch.
    pub fn mark_dirty(&self, link: &Arc<Link>) {
        if self.hub.mark_dirty(link) && !self.is_current() {
            self.hub.queue.push_urgent(Event::Nudge);
        }
    }

    /// Lets the pump take a turn. In its own thread it will in any case; a helper that drives meanwhile looks at once.
    pub fn nudge(&self) {
        if self.is_forked() {
            return;
        }
        if self.is_current() {
            self.hub.kick_helper();
        } else {
            self.hub.queue.push_urgent(Event::Nudge);
        }
    }

    /// Leaves something for the next turn. Any thread.
    pub fn post(&self, leave: impl FnOnce(&mut Posts)) {
        leave(&mut self.posts.lock());
        self.posted.store(true, Ordering::Relaxed);
        self.nudge();
    }

    /// What was left.
    pub fn take_posts(&self) -> Posts {
        self.posted.store(false, Ordering::Relaxed);
        std::mem::take(&mut *self.posts.lock())
    }

    /// Whether anything was left, `close_cb`s included.
    pub fn has_posts(&self) -> bool {
        self.posted.load(Ordering::Relaxed) || self.closings.len() > 0
    }

    /// Whether something is to be done that the loop's own thread left, which wakes nobody: timers aside.
    pub fn has_own_work(&self) -> bool {
        self.is_exiting() || self.has_posts() || self.hub.is_dirty()
    }

    /// Visits what the loop owns, for Python's garbage collector: no lock is waited for.
    pub fn visit_entries(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        if let Some(posts) = self.posts.try_lock() {
            for call in &posts.calls {
                match &call.function {
                    Posted::Function(function) => visit.call(function)?,
                    Posted::Notifier(notifier) => visit.call(notifier)?,
                }
                visit.call(&call.arguments)?;
                visit.call(&call.event_cb)?;
            }
            for socket in posts.resumed.iter().chain(&posts.met) {
                visit.call(socket)?;
            }
        }
        if let Some(callbacks) = self.exit_callbacks.try_lock() {
            callbacks.iter().try_for_each(|one| visit.call(one))?;
        }
        self.closings.visit(visit)?;
        self.timers.visit(visit)?;
        let Some(table) = self.table.try_lock() else {
            return Ok(());
        };
        for entry in table.slots.iter().filter_map(|slot| slot.entry.as_ref()) {
            match entry {
                Entry::Socket(socket) => visit.call(socket)?,
                Entry::Server(server) => visit.call(server)?,
                Entry::Lookup(lookup) => {
                    visit.call(&lookup.callback)?;
                    visit.call(&lookup.event_cb)?;
                }
            }
        }
        Ok(())
    }
}
