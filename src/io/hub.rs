//! What all tasks of one loop share: the queue, the commands that the pump leaves for them, keys and limits.

mod clock;
mod memory;

pub use memory::LEAST_READ;

use crate::io::conn::link::{Flush, Link};
use crate::io::conn::loan::{Returns, Rooms};
use crate::io::event::Event;
use crate::io::failure::Failure;
use crate::io::inbox::queue::Queue;
use crate::io::keys::Key;
use crate::io::runtime::handover::Handover;
use crate::io::runtime::late_flush::LateFlush;
use crate::io::runtime::scheduler::Scheduler;
use crate::io::sync::Mutex;
use clock::Clock;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Bounds on received bytes that wait for Python.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of one connection.
    pub read: usize,
    /// Bytes of all connections of the loop together.
    pub memory: usize,
}

/// What the pump asks the I/O side to do; run by whoever drives, so that it costs no wake-up.
pub enum Command {
    /// A connection's flags changed, or it may read again.
    Wake(Arc<Link>),
    /// Start a task: a connection attempt, an accept loop.
    Spawn(Pin<Box<dyn Future<Output = ()> + Send>>),
    /// Wake any other task.
    Call(std::task::Waker),
}

#[derive(Default)]
struct Keys {
    free: Vec<Key>,
    next: u32,
}

/// Connections that are polled before the pump looks what they queued. With 1,000 busy ones 64, 256 and 1,024 cost more
/// CPU for each message.
const BATCH: usize = 128;
/// Received bytes that are taken to Python before more connections are polled, so that they are sent on while the
/// processor's cache still has them.
const BATCH_BYTES: usize = 128 * 1024;

/// Shared by the pump, the tasks and the driver of one loop.
pub struct Hub {
    /// Towards the pump.
    pub queue: Queue<Event>,
    /// Who drives.
    pub handover: Handover,
    scheduler: Scheduler,
    /// The loop's limits.
    pub limits: Limits,
    /// For large messages.
    pub rooms: Rooms,
    /// Sent large messages, for the pump to let go.
    pub returns: Arc<Returns>,
    /// Set when commands may run at once: a runtime with threads of its own drives itself.
    runtime: Mutex<Option<tokio::runtime::Handle>>,
    threaded: AtomicBool,
    /// Towards whoever drives. Leaf lock.
    commands: Mutex<Vec<Command>>,
    /// There are some. SeqCst: who leaves one sets it and then looks whether the helper drives, which begins to drive and
    /// then looks here.
    commanded: AtomicBool,
    /// Leaf lock.
    keys: Mutex<Keys>,
    /// Received bytes that wait in the queue or the pump's batch.
    unread: AtomicUsize,
    /// Received bytes that wait in the app's streams.
    in_streams: AtomicUsize,
    /// Connections that wait because of the memory limit, each once. Leaf lock.
    starved: Mutex<Vec<Arc<Link>>>,
    anyone_starved: AtomicBool,
    /// Connections with something to send. Leaf lock.
    dirty: Mutex<Vec<Arc<Link>>>,
    /// Of a runtime with threads of its own: who sends what the pump is late to send.
    late: LateFlush,
    /// Accept loops that wait until Python is back. Leaf lock.
    waiting: Mutex<Vec<Waker>>,
    anyone_waits: AtomicBool,
    /// Tasks that keep the loop alive: connections, attempts, listeners.
    alive: AtomicUsize,
    /// Names being looked up.
    lookups: AtomicUsize,
    ended: AtomicBool,
    clock: Clock,
    /// See [`Hub::busy_poll`]; nanoseconds.
    spin: AtomicU64,
}

impl Hub {
    /// A hub for a loop with these limits.
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            queue: Queue::default(),
            handover: Handover::default(),
            scheduler: Scheduler::default(),
            limits,
            rooms: Rooms::default(),
            returns: Arc::default(),
            runtime: Mutex::new(None),
            threaded: AtomicBool::new(false),
            commands: Mutex::new(Vec::new()),
            commanded: AtomicBool::new(false),
            keys: Mutex::new(Keys::default()),
            unread: AtomicUsize::new(0),
            in_streams: AtomicUsize::new(0),
            starved: Mutex::new(Vec::new()),
            anyone_starved: AtomicBool::new(false),
            dirty: Mutex::new(Vec::new()),
            late: LateFlush::default(),
            waiting: Mutex::new(Vec::new()),
            anyone_waits: AtomicBool::new(false),
            alive: AtomicUsize::new(0),
            lookups: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
            clock: Clock::default(),
            spin: AtomicU64::new(0),
        })
    }

    /// From now on commands run at once on `runtime`, whose own threads drive it.
    pub fn run_commands_on(&self, runtime: tokio::runtime::Handle) {
        *self.runtime.lock() = Some(runtime);
        self.threaded.store(true, Ordering::Relaxed);
    }

    /// Something was staged on `link`. True: it is on the list of those to flush from now on, and was not before. By one
    /// thread at a time.
    pub fn mark_dirty(&self, link: &Arc<Link>) -> bool {
        if !link.mark_dirty() {
            return false;
        }
        self.dirty.lock().push(link.clone());
        if self.threaded.load(Ordering::Relaxed) {
            self.late.call();
        }
        true
    }

    /// Whether any connection is to be flushed.
    pub fn is_dirty(&self) -> bool {
        !self.dirty.lock().is_empty()
    }

    /// Sends what was staged on the connections of the list. `flushing` is the caller's to keep, for its allocation.
    pub fn flush(&self, flushing: &mut Vec<Arc<Link>>, flushed: impl FnMut(&Arc<Link>)) {
        std::mem::swap(&mut *self.dirty.lock(), flushing);
        self.flush_each(flushing.drain(..), flushed);
    }

    /// [`Hub::flush`] on the I/O side, while Python keeps the pump.
    pub(crate) fn flush_late(&self) {
        // Not swapped: the list's next allocation would lie behind all that a callback has staged, and keep the heap below
        // from being given back.
        let flushing: Vec<_> = self.dirty.lock().drain(..).collect();
        self.flush_each(flushing, |link| {
            self.queue.push(Event::Flushed(link.key));
        });
        self.tell_returns();
    }

    fn flush_each(
        &self,
        flushing: impl IntoIterator<Item = Arc<Link>>,
        mut flushed: impl FnMut(&Arc<Link>),
    ) {
        for link in flushing {
            link.unmark_dirty();
            if matches!(link.flush(self), Flush::Done) && link.wants_flushed() {
                flushed(&link);
            }
        }
    }

    /// For a runtime with threads of its own: sends what the pump leaves staged for long. Ends with the runtime.
    pub(crate) async fn keep_flushing(self: Arc<Self>) {
        loop {
            self.late.called().await;
            while self.late.is_due().await {
                self.flush_late();
            }
        }
    }

    /// Leaves a command for whoever drives. Any thread.
    pub fn post(&self, command: Command) {
        if self.ended.load(Ordering::SeqCst) {
            return;
        }
        let runtime = self.runtime.lock().clone();
        if let Some(runtime) = runtime {
            let _entered = runtime.enter();
            return run(command);
        }
        self.commands.lock().push(command);
        self.commanded.store(true, Ordering::SeqCst);
    }

    /// After [`Hub::post`]: lets the helper see the commands if it drives. Once a batch is enough.
    pub fn kick_helper(&self) {
        if self.handover.helper_drives() && self.commanded.load(Ordering::SeqCst) {
            self.handover.wake_helper();
        }
    }

    /// Runs what was posted, on the driving thread inside the runtime. The root futures call it after they have
    /// registered their wakers.
    pub fn run_commands(&self) {
        if !self.commanded.load(Ordering::SeqCst) {
            return;
        }
        // Cleared first: what is left from now on sets it again.
        self.commanded.store(false, Ordering::SeqCst);
        let commands = std::mem::take(&mut *self.commands.lock());
        for command in commands {
            run(command);
        }
    }

    /// Starts a connection's task. It ends by its link's flags, or with the runtime.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + Unpin + 'static) {
        if self.threaded.load(Ordering::Relaxed) {
            drop(tokio::spawn(task));
        } else {
            self.scheduler.add(task);
        }
    }

    /// After [`Link::give_away`]: whether its task receives nothing more.
    pub fn has_let_go(&self, link: &Link) -> bool {
        link.has_ended() || (!self.threaded.load(Ordering::Relaxed) && self.scheduler.is_idle())
    }

    /// The pump's root future: drives until something is queued.
    pub fn poll_drive(&self, context: &mut Context<'_>) -> Poll<()> {
        self.queue.rouse();
        self.clock.tick();
        self.python_is_back();
        self.run_commands();
        self.scheduler
            .poll(context, BATCH, || self.unread() >= BATCH_BYTES);
        self.queue.poll_ready(context)
    }

    /// The helper's root future: drives until the pump comes back.
    pub fn poll_help(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.handover.poll_recalled(context).is_ready() {
            return Poll::Ready(());
        }
        self.clock.tick();
        self.run_commands();
        self.scheduler.poll(context, BATCH, || false);
        Poll::Pending
    }

    /// How long the pump looks for events again and again before it sleeps; None: not at all.
    pub fn busy_poll(&self) -> Option<Duration> {
        match self.spin.load(Ordering::Relaxed) {
            0 => None,
            nanoseconds => Some(Duration::from_nanos(nanoseconds)),
        }
    }

    /// See [`Hub::busy_poll`].
    pub fn set_busy_poll(&self, spin: Duration) {
        let nanoseconds = u64::try_from(spin.as_nanos()).unwrap_or(u64::MAX);
        self.spin.store(nanoseconds, Ordering::Relaxed);
    }

    /// The loop has ended: drops the connections. In the runtime's context.
    pub(crate) fn dismiss_tasks(&self) {
        drop(self.scheduler.dismiss());
    }

    /// A key that no event in the queue names.
    pub fn new_key(&self) -> Key {
        let mut keys = self.keys.lock();
        keys.free.pop().unwrap_or_else(|| {
            keys.next += 1;
            Key {
                index: keys.next - 1,
                generation: 0,
            }
        })
    }

    /// Gives a key back after its `Gone` was seen.
    pub fn free_key(&self, key: Key) {
        let next = Key {
            index: key.index,
            generation: key.generation.wrapping_add(1),
        };
        self.keys.lock().free.push(next);
    }

    /// One more task that keeps the loop alive.
    pub fn came(&self) {
        self.alive.fetch_add(1, Ordering::SeqCst);
    }

    /// It ended. Its `Gone` is queued by the caller afterwards, so the pump looks again.
    pub fn went(&self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }

    /// How many tasks keep the loop alive.
    pub fn alive(&self) -> usize {
        self.alive.load(Ordering::SeqCst)
    }

    /// Names being looked up now.
    pub fn lookups(&self) -> usize {
        self.lookups.load(Ordering::Relaxed)
    }

    /// Counts a lookup until the guard is dropped.
    pub(crate) fn lookup_begins(self: &Arc<Self>) -> LookupGuard {
        self.lookups.fetch_add(1, Ordering::Relaxed);
        LookupGuard(self.clone())
    }

    /// Tells the pump that a task failed.
    pub(crate) fn failed(&self, key: Key, failure: Failure) {
        self.queue.push(Event::Failed(key, Box::new(failure)));
    }

    /// After sending on the I/O side: an idle pump lets go of what was sent.
    pub(crate) fn tell_returns(&self) {
        if !self.returns.is_empty() {
            self.queue.push_urgent(Event::Nudge);
        }
    }

    /// Drops what was left to do, when the loop has ended; nothing is taken on any more.
    pub fn clear(&self) {
        self.ended.store(true, Ordering::SeqCst);
        self.queue.forget_sleeper();
        self.handover.forget_helper();
        let commands = std::mem::take(&mut *self.commands.lock());
        let starved = std::mem::take(&mut *self.starved.lock());
        let dirty = std::mem::take(&mut *self.dirty.lock());
        let waiting = std::mem::take(&mut *self.waiting.lock());
        drop((commands, starved, dirty, waiting));
        *self.runtime.lock() = None;
    }
}

/// A name that is being looked up.
pub(crate) struct LookupGuard(Arc<Hub>);

impl Drop for LookupGuard {
    fn drop(&mut self) {
        self.0.lookups.fetch_sub(1, Ordering::Relaxed);
    }
}

fn run(command: Command) {
    match command {
        Command::Wake(link) => link.wake_task(),
        Command::Call(waker) => waker.wake(),
        // Detached on purpose: each task ends by a flag of its link or listener, at the latest with the runtime.
        Command::Spawn(task) => drop(tokio::spawn(task)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(memory: usize) -> Arc<Hub> {
        Hub::new(Limits {
            read: 100_000,
            memory,
        })
    }

    #[test]
    fn busy_polling_lasts_as_long_as_it_was_set_to() {
        let hub = hub(0);
        assert_eq!(hub.busy_poll(), None);
        hub.set_busy_poll(Duration::from_micros(50));
        assert_eq!(hub.busy_poll(), Some(Duration::from_micros(50)));
        hub.set_busy_poll(Duration::ZERO);
        assert_eq!(hub.busy_poll(), None);
    }

    #[test]
    fn a_key_that_was_given_back_has_another_generation() {
        let hub = hub(0);
        let (first, second) = (hub.new_key(), hub.new_key());
        assert_eq!((first.index, second.index), (0, 1));
        hub.free_key(first);
        let again = hub.new_key();
        assert_eq!((again.index, again.generation), (0, first.generation + 1));
        assert_eq!(hub.new_key().index, 2);
    }
}
