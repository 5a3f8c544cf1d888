//! One turn of a loop: flush, drive the runtime, take what is queued, call the callbacks.
//!
//! The interpreter's lock is released once a turn, for flushing, driving and swapping together, and once more for
//! each flush in the middle of a long batch; where other threads compute ([`Contention`]), it is kept for many turns.

use crate::app_error::{Catch, Which, Whose};
use crate::contention::{self, Contention};
use crate::core::{Core, Posts};
use crate::dispatch::Dispatcher;
use crate::in_hand::InHand;
use crate::io;
use crate::io::arena::Arena;
use crate::io::driver::{Driver, PumpWatch, Wait};
use crate::io::queue::Batch;
use crate::io::{Event, Failure, Key, Link};
use crate::timer::Timer;
use pyo3::prelude::*;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Callbacks after which what they wrote is sent, however long the batch is.
const CALLS_A_FLUSH: u32 = 64;
/// Time after which it is sent.
const TIME_A_FLUSH: Duration = Duration::from_micros(500);
/// A timer that is late by more waits until the kernel was asked what came before it.
const LATE: Duration = Duration::from_millis(5);
/// So often: a connection that waits to be accepted is followed by its first bytes.
const LOOKS: u32 = 3;
/// The clock is read after so many callbacks.
const CALLS_A_LOOK: u32 = 8;

/// The pump's own data, used by the thread that runs the loop only.
///
/// An exception that comes out of a turn leaves in `flushed`, `posts` and `batch` what was not dispatched yet; a loop
/// that goes on nevertheless (a foreign loop's) does that first.
pub struct Pump {
    driver: Driver,
    watch: PumpWatch,
    contention: Contention,
    batch: Batch<Event>,
    /// How many events of the batch were dispatched.
    dispatched: usize,
    /// Empty between two flushes.
    flushing: Vec<Arc<Link>>,
    /// Sockets whose flush was complete, to be told before the events that were queued afterwards.
    flushed: VecDeque<Key>,
    posts: Posts,
    /// Callbacks since the last flush, which was not before `since`.
    calls: u32,
    since: Instant,
    /// When the events of this turn were taken: timers that are due later wait for the next.
    now: Instant,
    /// Callbacks made and events handled in this turn.
    steps: usize,
}

impl Pump {
    /// Starts the runtime of `core`'s loop.
    pub fn start(core: &Core, io_threads: usize) -> Result<Self, Failure> {
        Ok(Self {
            driver: Driver::start(core.hub.clone(), io_threads)?,
            watch: PumpWatch::default(),
            contention: Contention::default(),
            batch: Batch::default(),
            dispatched: 0,
            flushing: Vec::new(),
            flushed: VecDeque::new(),
            posts: Posts::default(),
            calls: 0,
            since: Instant::now(),
            now: Instant::now(),
            steps: 0,
        })
    }

    /// Ends the runtime. With the interpreter's lock released.
    pub fn stop(self) {
        self.driver.stop();
    }

    /// One turn; waits for events as long as nothing else is to be done. False: the loop has nothing left to do.
    pub fn turn(&mut self, py: Python<'_>, core: &Core, catch: &Catch) -> PyResult<bool> {
        if core.is_exiting() || !core.is_alive() {
            return Ok(false);
        }
        let kept = self.contention.keeps() && self.collect_kept(core);
        if kept {
            contention::give_way(py)?;
        } else {
            self.collect_released(py, core);
        }
        py.check_signals()?;
        // A signal's handler may have forked, and this be the child.
        core.check_process(py)?;
        self.dispatch(py, core, catch)?;
        core.hub.kick_helper();
        Ok(true)
    }

    /// One turn that waits for nothing, and sends what was written before it returns. For a runtime with threads of its
    /// own.
    pub fn bounded_turn(&mut self, py: Python<'_>, core: &Core, catch: &Catch) -> PyResult<()> {
        self.steps = 0;
        if core.is_exiting() {
            return Ok(());
        }
        py.detach(|| {
            self.flush(core);
            self.now = Instant::now();
            if is_late(core, self.now) {
                self.driver.settle();
            }
            if self.dispatched == self.batch.events.len() {
                core.hub.queue.swap(&mut self.batch);
            }
        });
        let dispatched = self.dispatch(py, core, catch);
        if !core.is_forked() {
            py.detach(|| {
                self.flush(core);
                core.hub.python_is_back();
            });
        }
        dispatched
    }

    /// Callbacks made and events handled in the turn.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Whether a turn left something to be told.
    pub fn is_behind(&self) -> bool {
        self.dispatched < self.batch.events.len()
            || !self.flushed.is_empty()
            || !self.posts.is_empty()
    }

    /// Flushes and takes what comes with the interpreter released; waits for it.
    fn collect_released(&mut self, py: Python<'_>, core: &Core) {
        let wait = wait_of(core);
        let measured = self.contention.releases();
        let since = py.detach(|| {
            self.flush(core);
            self.collect(core, wait);
            measured.then(Instant::now)
        });
        if let Some(since) = since {
            self.contention.waited(since.elapsed());
        }
    }

    /// Flushes and takes what comes without releasing the interpreter; false: there is nothing to do.
    fn collect_kept(&mut self, core: &Core) -> bool {
        self.flush(core);
        let due = matches!(wait_of(core), Wait::No) || !self.flushed.is_empty();
        let wait = if due {
            Wait::No
        } else {
            Wait::Spin(Instant::now() + contention::SPIN)
        };
        self.collect(core, wait);
        due || !self.batch.is_empty()
    }

    /// Sends what was written.
    fn flush(&mut self, core: &Core) {
        let flushed = &mut self.flushed;
        core.hub
            .flush(&mut self.flushing, |link| flushed.push_back(link.key));
        core.hub.kick_helper();
        self.calls = 0;
    }

    /// Drives the runtime and takes what is queued.
    fn collect(&mut self, core: &Core, wait: Wait) {
        // While the helper drives and events wait, Python and I/O run side by side.
        if !core.hub.handover.helper_drives() || core.hub.queue.is_empty() {
            // What was sent by reference is let go before a wait.
            let idle = self.flushed.is_empty() && !core.lender.has_returns();
            let wait = if idle { wait } else { Wait::No };
            self.driver.drive(&mut self.watch, wait);
        } else {
            core.hub.turned();
        }
        if core.timers.armed() > 0 {
            self.now = Instant::now();
            if is_late(core, self.now) {
                self.driver.settle();
                for _ in 0..LOOKS {
                    self.driver.drive(&mut self.watch, Wait::No);
                }
            }
        }
        core.hub.queue.swap(&mut self.batch);
    }

    fn dispatch(&mut self, py: Python<'_>, core: &Core, catch: &Catch) -> PyResult<()> {
        core.lender.let_go();
        core.lender.furnish(py, &core.hub.rooms)?;
        let dispatcher = &Dispatcher { core, catch };
        self.steps = 0;
        if self.batch.events.len() >= CALLS_A_LOOK as usize {
            // In a shorter batch nobody looks, or finds that much time has passed and flushes early.
            self.since = Instant::now();
        }
        // The urgent lane only wakes: signals were looked at, posts and timers follow.
        self.batch.urgent.clear();
        let closings = core.closings.len();
        let mark = core.timers.mark();
        let (mut batch, mut dispatched) = (std::mem::take(&mut self.batch), self.dispatched);
        let result = InHand::hold(&mut batch, &mut dispatched, |hand| {
            self.dispatch_flushed(py, dispatcher)?;
            self.dispatch_closings(py, dispatcher, closings)?;
            self.dispatch_posts(py, dispatcher)?;
            self.dispatch_events(py, dispatcher, hand)?;
            self.dispatch_timers(py, dispatcher, mark)
        });
        (self.batch, self.dispatched) = (batch, dispatched);
        if self.dispatched == self.batch.events.len() {
            // The allocations serve the next batch.
            self.batch.recycle();
            self.dispatched = 0;
        }
        result
    }

    fn dispatch_flushed(&mut self, py: Python<'_>, dispatcher: &Dispatcher<'_>) -> PyResult<()> {
        // A flush in the middle of the batch adds to them: those are for the next turn.
        for _ in 0..self.flushed.len() {
            let Some(key) = self.flushed.pop_front() else {
                break;
            };
            self.step(py, dispatcher, |dispatcher| dispatcher.flushed(py, key))?;
        }
        Ok(())
    }

    /// Of the sockets that were closed before this turn.
    fn dispatch_closings(
        &mut self,
        py: Python<'_>,
        dispatcher: &Dispatcher<'_>,
        count: usize,
    ) -> PyResult<()> {
        for _ in 0..count {
            // Once the loop is to end, its end runs them.
            if dispatcher.core.is_exiting() {
                break;
            }
            let Some(closing) = dispatcher.core.closings.pop() else {
                break;
            };
            self.step(py, dispatcher, |dispatcher| dispatcher.closed(py, &closing))?;
        }
        Ok(())
    }

    fn dispatch_posts(&mut self, py: Python<'_>, dispatcher: &Dispatcher<'_>) -> PyResult<()> {
        if self.posts.is_empty() {
            if !dispatcher.core.has_posts() {
                return Ok(());
            }
            self.posts = dispatcher.core.take_posts();
        }
        while let Some(call) = self.posts.calls.pop_front() {
            let Some(function) = call.function.take(py) else {
                continue;
            };
            let arguments = call.arguments.bind(py);
            self.step(py, dispatcher, |dispatcher| {
                let whose = Whose::Other(call.event_cb.as_ref());
                dispatcher.call(&function, arguments, Which::Post, whose)
            })?;
        }
        while let Some(socket) = self.posts.met.pop_front() {
            self.step(py, dispatcher, |dispatcher| dispatcher.met(socket.bind(py)))?;
        }
        while let Some(socket) = self.posts.resumed.pop_front() {
            self.step(py, dispatcher, |dispatcher| {
                dispatcher.resume(socket.bind(py))
            })?;
        }
        Ok(())
    }

    /// Timers that were due when the events of this turn were taken, so that what came before a timer was due is delivered
    /// before it. Those that this turn starts (from the number `mark` on) wait for the next.
    fn dispatch_timers(
        &mut self,
        py: Python<'_>,
        dispatcher: &Dispatcher<'_>,
        mark: u64,
    ) -> PyResult<()> {
        let timers = &dispatcher.core.timers;
        if timers.armed() == 0 {
            return Ok(());
        }
        let now = self.now;
        while let Some((timer, number)) = timers.take_due(now, mark) {
            let Some(firing) = Timer::fire(timer.bind(py), number, now) else {
                continue;
            };
            self.step(py, dispatcher, |dispatcher| {
                let whose = Whose::Other(firing.event_cb.as_ref());
                dispatcher.call(firing.callback.bind(py), (), firing.which, whose)
            })?;
        }
        Ok(())
    }

    fn dispatch_events(
        &mut self,
        py: Python<'_>,
        dispatcher: &Dispatcher<'_>,
        hand: &InHand,
    ) -> PyResult<()> {
        let count = hand.events.borrow().len();
        if hand.dispatched.get() == 0 {
            io::add(&dispatcher.core.totals.events, count);
        }
        while hand.dispatched.get() < count {
            let event = hand.next();
            if let Event::Data(_, place) = event {
                hand.bytes.borrow_mut().give_back_before(place);
            }
            let bytes = hand.bytes.borrow();
            self.step(py, dispatcher, |dispatcher| {
                handle(py, dispatcher, event, &bytes)
            })?;
        }
        Ok(())
    }

    /// One callback, unless the loop is to end; then a look at what it wrote.
    fn step(
        &mut self,
        py: Python<'_>,
        dispatcher: &Dispatcher<'_>,
        call: impl FnOnce(&Dispatcher<'_>) -> PyResult<()>,
    ) -> PyResult<()> {
        if dispatcher.core.is_exiting() {
            return Ok(());
        }
        self.steps += 1;
        self.calls += 1;
        let beat = dispatcher.core.beat();
        if let Some(beat) = beat {
            beat.tick();
        }
        let called = call(dispatcher);
        if let Some(beat) = beat {
            beat.tick();
        }
        called?;
        // The callback may have forked, and this be the child.
        dispatcher.core.check_process(py)?;
        if self.calls.is_multiple_of(CALLS_A_LOOK) && self.flush_is_due(dispatcher.core) {
            if self.contention.is_seen() {
                self.flush(dispatcher.core);
            } else {
                py.detach(|| self.flush(dispatcher.core));
            }
            self.since = Instant::now();
        }
        Ok(())
    }

    fn flush_is_due(&self, core: &Core) -> bool {
        (self.calls >= CALLS_A_FLUSH || self.since.elapsed() >= TIME_A_FLUSH) && core.hub.is_dirty()
    }
}

/// Whether a timer is so late that it was not for want of a turn: the process may have stood still, and the kernel have
/// what came before the timer was due.
fn is_late(core: &Core, now: Instant) -> bool {
    core.timers.next().is_some_and(|due| due + LATE <= now)
}

fn wait_of(core: &Core) -> Wait {
    if core.has_posts() {
        return Wait::No;
    }
    match core.timers.next() {
        Some(due) if due <= Instant::now() => Wait::No,
        Some(due) => Wait::Until(due),
        None => Wait::Forever,
    }
}

fn handle(
    py: Python<'_>,
    dispatcher: &Dispatcher<'_>,
    event: Event,
    bytes: &Arena,
) -> PyResult<()> {
    match event {
        Event::Data(key, place) => dispatcher.data(py, key, bytes.get(place)),
        Event::Filled { key, owner, count } => dispatcher.filled(py, key, owner, count as usize),
        Event::Flushed(key) => dispatcher.flushed(py, key),
        Event::Accepted { listener, link } => dispatcher.accepted(py, &listener, link),
        Event::Found(key, found) => dispatcher.found(py, key, *found),
        Event::Connected(key) => dispatcher.connected(py, key),
        Event::Eof(key) => dispatcher.eof(py, key),
        Event::Failed(key, failure) | Event::AcceptFailed(key, failure) => {
            dispatcher.failed(py, key, failure)
        }
        Event::TimedOut {
            key,
            epoch,
            timeout,
        } => dispatcher.timed_out(py, key, epoch, timeout),
        Event::Level(key) => dispatcher.level(py, key),
        Event::Gone(key) => {
            dispatcher.gone(py, key);
            Ok(())
        }
        Event::Signal | Event::Nudge => Ok(()),
    }
}
