//! What drives the connections' tasks, and what whoever drives is asked to do.
//!
//! Without threads of the runtime's own the pump and its helper drive by turns, and poll the connections' tasks
//! themselves; with them the runtime does it all. Nobody else need know which.

use crate::io::conn::link::Link;
use crate::io::runtime::absence::Absence;
use crate::io::runtime::clock::Clock;
use crate::io::runtime::commands::{Command, Commands};
use crate::io::runtime::flush_list::FlushList;
use crate::io::runtime::handover::Handover;
use crate::io::runtime::lane::Lane;
use crate::io::runtime::late_flush::LateFlush;
use crate::io::runtime::scheduler::Scheduler;
use crate::io::sync::{AtomicU64, Ordering};
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::Instant;

/// Connections that are polled before the pump looks what they queued. With 1,000 busy ones 64, 256 and 1,024 cost more
/// CPU for each message.
const BATCH: usize = 128;

/// One for each loop.
pub struct Reactor {
    /// Who drives.
    pub handover: Handover,
    commands: Arc<Commands>,
    scheduler: Scheduler,
    clock: Clock,
    absence: Absence,
    lane: Lane,
    /// Connections with something to send.
    pub(crate) dirty: FlushList<Arc<Link>>,
    /// Of a runtime with threads of its own: who sends what the pump is late to send.
    pub(crate) late: LateFlush,
    /// See [`Reactor::busy_poll`]; nanoseconds.
    spin: AtomicU64,
}

impl Reactor {
    pub(crate) fn new(commands: Arc<Commands>) -> Self {
        Self {
            handover: Handover::default(),
            commands,
            scheduler: Scheduler::default(),
            clock: Clock::default(),
            absence: Absence::default(),
            lane: Lane::default(),
            dirty: FlushList::default(),
            late: LateFlush::default(),
            spin: AtomicU64::new(0),
        }
    }

    /// From now on the threads of `runtime` drive.
    pub(crate) fn set_threaded_runtime(&self, runtime: Handle) {
        self.commands.threads.set_threaded_runtime(runtime);
    }

    /// The pump and its helper drive `runtime`.
    pub(crate) fn set_runtime(&self, runtime: Handle) {
        self.commands.threads.set_runtime(runtime);
    }

    /// Does what wants the runtime's context. None: the loop has ended.
    pub(crate) fn in_context<R>(&self, act: impl FnOnce() -> R) -> Option<R> {
        let runtime = self.commands.threads.runtime()?;
        let _entered = runtime.enter();
        Some(act())
    }

    fn has_threads(&self) -> bool {
        self.commands.threads.any()
    }

    /// Leaves a command for whoever drives. Any thread.
    pub fn post(&self, command: Command) {
        self.commands.post(command);
    }

    /// After [`Reactor::post`]: lets the helper see the commands if it drives. Once a batch is enough.
    pub fn kick_helper(&self) {
        if self.handover.helper_drives() && !self.commands.is_empty() {
            self.handover.wake_helper();
        }
    }

    /// Starts a connection's task. It ends by its link's flags, or with the runtime.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + Unpin + 'static) {
        if self.has_threads() {
            drop(tokio::spawn(self.commands.threads.order.in_order(task)));
        } else {
            self.scheduler.add(task);
        }
    }

    /// After [`Link::give_away`]: whether its task receives nothing more.
    pub fn task_is_done_with(&self, link: &Link) -> bool {
        link.has_ended() || (!self.has_threads() && self.scheduler.is_idle())
    }

    /// What whoever drives does in each poll of its root future: a batch of tasks, or fewer once there is `enough`.
    pub(crate) fn poll_tasks(&self, context: &Context<'_>, enough: impl Fn() -> bool) {
        self.clock.tick();
        self.commands.run();
        if self.lane.next_round() {
            context.waker().wake_by_ref();
        }
        self.scheduler.poll(context, BATCH, enough);
    }

    /// Whether a handshake may make a step, which is long; else it is woken when it may. Threads of the runtime's own make
    /// as many as they are.
    pub(crate) fn enter_lane(&self, handshake: &Waker) -> bool {
        if self.has_threads() || self.lane.enter(handshake) {
            return true;
        }
        self.scheduler.rouse();
        false
    }

    /// The pump leaves the runtime, for Python.
    pub(crate) fn leave(&self) {
        self.absence.begin(self.clock.time());
        self.handover.leave();
    }

    /// How long Python has kept the pump; zero while the pump drives, and where nobody knows.
    pub(crate) fn python_time(&self) -> Duration {
        match self.absence.began() {
            Some(left) if !self.handover.is_inside() => {
                Duration::from_nanos(self.time().saturating_sub(left))
            }
            _ => Duration::ZERO,
        }
    }

    /// Calls `accepting` when Python is back.
    pub(crate) fn wait_for_python(&self, accepting: &Waker) {
        self.absence.wait(accepting);
    }

    /// Python has come back from callbacks: accept loops that waited for that look again.
    #[inline]
    pub fn wake_accept_loops(&self) {
        self.absence.end();
    }

    /// From now on each turn takes its time.
    pub(crate) fn keep_time(&self) {
        self.clock.keep();
    }

    /// The time when the turn began (of a runtime with threads of its own, which has no turns: the time), in nanoseconds
    /// for [`Reactor::instant`].
    pub(crate) fn now(&self) -> u64 {
        if self.has_threads() {
            self.clock.time()
        } else {
            self.clock.turn()
        }
    }

    /// The time, in nanoseconds for [`Reactor::instant`].
    pub(crate) fn time(&self) -> u64 {
        self.clock.time()
    }

    /// What [`Reactor::now`] said.
    pub(crate) fn instant(&self, nanoseconds: u64) -> Instant {
        self.clock.instant(nanoseconds)
    }

    /// `link` is to be flushed and, as its sender said, not on the list yet.
    pub fn flush_later(&self, link: &Arc<Link>) {
        self.dirty.push(link.clone());
        if self.has_threads() {
            self.late.call();
        }
    }

    /// Whether any connection is to be flushed.
    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// How long the pump looks for events again and again before it sleeps; None: not at all.
    pub fn busy_poll(&self) -> Option<Duration> {
        match self.spin.load(Ordering::Relaxed) {
            0 => None,
            nanoseconds => Some(Duration::from_nanos(nanoseconds)),
        }
    }

    /// See [`Reactor::busy_poll`].
    pub fn set_busy_poll(&self, spin: Duration) {
        let nanoseconds = u64::try_from(spin.as_nanos()).unwrap_or(u64::MAX);
        self.spin.store(nanoseconds, Ordering::Relaxed);
    }

    /// The loop has ended: drops the connections. In the runtime's context.
    pub(crate) fn dismiss_tasks(&self) {
        drop(self.scheduler.dismiss());
    }

    /// Drops what was left to do, when the loop has ended; nothing is taken on any more.
    pub(crate) fn clear(&self) {
        self.commands.end();
        self.handover.forget_helper();
        self.absence.forget();
        self.lane.clear();
        drop(self.dirty.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_polling_lasts_as_long_as_it_was_set_to() {
        let reactor = Reactor::new(Arc::default());
        assert_eq!(reactor.busy_poll(), None);
        reactor.set_busy_poll(Duration::from_micros(50));
        assert_eq!(reactor.busy_poll(), Some(Duration::from_micros(50)));
        reactor.set_busy_poll(Duration::ZERO);
        assert_eq!(reactor.busy_poll(), None);
    }
}
