//! One turn of a loop: flush, drive the runtime, take what is queued, call the callbacks.
//!
//! The interpreter's lock is released once a turn, for flushing, driving and swapping together, and once more for
//! each flush in the middle of a long batch.

use crate::core::Core;
use crate::dispatch::{Catch, Dispatcher};
use crate::io::arena::Arena;
use crate::io::driver::{Driver, PumpWatch, Wait};
use crate::io::link::Flush;
use crate::io::queue::Batch;
use crate::io::{Event, Key, Link};
use crate::timer::Timer;
use pyo3::prelude::*;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Callbacks after which what they wrote is sent, however long the batch is.
const CALLS_A_FLUSH: u32 = 64;
/// Time after which it is sent.
const TIME_A_FLUSH: Duration = Duration::from_micros(500);
/// The clock is read after so many callbacks.
const CALLS_A_LOOK: u32 = 8;

/// What flushing found out, to be told to the sockets before the events that were queued afterwards.
#[derive(Default)]
struct Flushed {
    done: Vec<Key>,
    full: Vec<Key>,
}

/// The pump's own data, used by the thread that runs the loop only.
pub struct Pump {
    driver: Driver,
    watch: PumpWatch,
    batch: Batch<Event>,
    dirty: Vec<Arc<Link>>,
    flushed: Flushed,
    calls: u32,
    since: Instant,
}

impl Pump {
    /// Starts the runtime of `core`'s loop.
    pub fn start(core: &Core, io_threads: usize) -> std::io::Result<Self> {
        Ok(Self {
            driver: Driver::start(core.hub.clone(), io_threads)?,
            watch: PumpWatch::default(),
            batch: Batch::default(),
            dirty: Vec::new(),
            flushed: Flushed::default(),
            calls: 0,
            since: Instant::now(),
        })
    }

    /// Ends the runtime. With the interpreter's lock released.
    pub fn stop(self) {
        self.driver.stop();
    }

    /// One turn; waits for events as long as nothing else is to be done. False: the loop has nothing left to do.
    pub fn turn(
        &mut self,
        py: Python<'_>,
        core: &Core,
        catch: &Catch,
        longest: Wait,
    ) -> PyResult<bool> {
        if core.is_exiting() || !core.is_alive() {
            return Ok(false);
        }
        let wait = wait_of(core, longest);
        py.detach(|| {
            self.flush(core);
            self.collect(core, wait);
        });
        py.check_signals()?;
        let dispatched = self.dispatch(py, &Dispatcher { core, catch });
        // A callback may have forked, and this be the child.
        core.check_process(py)?;
        self.batch.recycle();
        core.hub.kick_helper();
        dispatched.map(|()| true)
    }

    /// Sends what was written.
    fn flush(&mut self, core: &Core) {
        core.take_dirty(&mut self.dirty);
        for link in self.dirty.drain(..) {
            link.unmark_dirty();
            match link.flush(&core.hub) {
                Flush::Done if link.wants_flushed() => self.flushed.done.push(link.key),
                Flush::Blocked | Flush::Nothing if link.became_full() => {
                    self.flushed.full.push(link.key)
                }
                Flush::Done | Flush::Blocked | Flush::Nothing | Flush::Failed => {}
            }
        }
        self.calls = 0;
    }

    /// Drives the runtime and takes what is queued.
    fn collect(&mut self, core: &Core, wait: Wait) {
        let told = !self.flushed.done.is_empty() || !self.flushed.full.is_empty();
        // While the helper drives and events wait, Python and I/O run side by side.
        if !core.hub.handover.helper_drives() || core.hub.queue.is_empty() {
            self.driver
                .drive(&mut self.watch, if told { Wait::No } else { wait });
        }
        core.hub.queue.swap(&mut self.batch);
    }

    fn dispatch(&mut self, py: Python<'_>, dispatcher: &Dispatcher<'_>) -> PyResult<()> {
        self.since = Instant::now();
        for key in std::mem::take(&mut self.flushed.done) {
            self.step(py, dispatcher, |dispatcher| dispatcher.flushed(py, key))?;
        }
        for key in std::mem::take(&mut self.flushed.full) {
            self.step(py, dispatcher, |dispatcher| {
                dispatcher.buffer(py, key, "TcpBufferFull")
            })?;
        }
        // The urgent lane only wakes: signals were looked at, posts and timers follow.
        self.batch.urgent.clear();
        self.dispatch_posts(py, dispatcher)?;
        self.dispatch_timers(py, dispatcher)?;
        self.dispatch_events(py, dispatcher)
    }

    fn dispatch_posts(&mut self, py: Python<'_>, dispatcher: &Dispatcher<'_>) -> PyResult<()> {
        if !dispatcher.core.has_posts() {
            return Ok(());
        }
        let posts = dispatcher.core.take_posts();
        for call in posts.calls {
            let (function, arguments) = (call.function.bind(py), call.arguments.bind(py));
            self.step(py, dispatcher, |dispatcher| {
                dispatcher.call(function, arguments, || call.event_cb, None)
            })?;
        }
        for socket in posts.met {
            self.step(py, dispatcher, |dispatcher| dispatcher.met(socket.bind(py)))?;
        }
        for socket in posts.resumed {
            self.step(py, dispatcher, |dispatcher| {
                dispatcher.resume(socket.bind(py))
            })?;
        }
        Ok(())
    }

    /// Timers that were due when the turn began; those that they start wait for the next.
    fn dispatch_timers(&mut self, py: Python<'_>, dispatcher: &Dispatcher<'_>) -> PyResult<()> {
        let timers = &dispatcher.core.timers;
        if timers.armed() == 0 {
            return Ok(());
        }
        let (now, mark) = (Instant::now(), timers.mark());
        while let Some((timer, number)) = timers.take_due(now, mark) {
            let Some(firing) = Timer::fire(timer.bind(py), number, now) else {
                continue;
            };
            self.step(py, dispatcher, |dispatcher| {
                dispatcher.call(firing.callback.bind(py), (), || firing.event_cb, None)
            })?;
        }
        Ok(())
    }

    fn dispatch_events(&mut self, py: Python<'_>, dispatcher: &Dispatcher<'_>) -> PyResult<()> {
        let events = std::mem::take(&mut self.batch.events);
        dispatcher
            .core
            .totals
            .events
            .fetch_add(events.len() as u64, Ordering::Relaxed);
        let bytes = std::mem::take(&mut self.batch.bytes);
        let mut events = events;
        for event in events.drain(..) {
            self.step(py, dispatcher, |dispatcher| {
                handle(py, dispatcher, event, &bytes)
            })?;
        }
        // The allocations serve the next batch.
        (self.batch.events, self.batch.bytes) = (events, bytes);
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
        call(dispatcher)?;
        dispatcher.core.check_process(py)?;
        self.calls += 1;
        if self.calls.is_multiple_of(CALLS_A_LOOK) && self.flush_is_due(dispatcher.core) {
            py.detach(|| self.flush(dispatcher.core));
            self.since = Instant::now();
        }
        Ok(())
    }

    fn flush_is_due(&self, core: &Core) -> bool {
        (self.calls >= CALLS_A_FLUSH || self.since.elapsed() >= TIME_A_FLUSH) && core.is_dirty()
    }
}

fn wait_of(core: &Core, longest: Wait) -> Wait {
    if core.has_posts() {
        return Wait::No;
    }
    match (core.timers.next(), longest) {
        (_, Wait::No) => Wait::No,
        (Some(due), _) if due <= Instant::now() => Wait::No,
        (Some(due), Wait::Until(deadline)) => Wait::Until(due.min(deadline)),
        (Some(due), Wait::Forever) => Wait::Until(due),
        (None, longest) => longest,
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
        Event::Flushed(key) => dispatcher.flushed(py, key),
        Event::Accepted { listener, link } => dispatcher.accepted(py, listener, link),
        Event::Found(key, found) => dispatcher.found(py, key, *found),
        Event::Connected(key) => dispatcher.connected(py, key),
        Event::Eof(key) => dispatcher.eof(py, key),
        Event::Failed(key, failure) | Event::AcceptFailed(key, failure) => {
            dispatcher.failed(py, key, failure)
        }
        Event::TimedOut {
            key,
            epoch,
            failure,
        } => dispatcher.timed_out(py, key, epoch, &failure),
        Event::Drained(key) => dispatcher.buffer(py, key, "TcpBufferDrained"),
        Event::Gone(key) => {
            dispatcher.gone(py, key);
            Ok(())
        }
        Event::Signal | Event::Nudge => Ok(()),
    }
}
