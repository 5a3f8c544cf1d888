//! One turn of a loop: wait for what is ready, take it, and call it. As asyncio's `_run_once`: what is made ready in a turn is called
//! in the next.

use crate::aio::clock;
use crate::aio::descriptors::Way;
use crate::aio::guest;
use crate::aio::handle;
use crate::aio::object::NativeLoop;
use crate::aio::state::{State, is_cancelled, unschedule};
use crate::aio::timers::Timers;
use crate::aio::transports::{self, Transport};
use crate::boundary::call::Method;
use crate::event_loop::object::EventLoop;
use crate::io::failure::Failure;
use crate::io::runtime::driver;
use crate::io::sys::platform;
use crate::io::sys::platform::epoll::{Events, Readiness, Selector};
use crate::turn::share::Share;
use pyo3::prelude::*;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// While calls are ready the kernel is asked for events no more often than so, in nanoseconds: a look costs as much as several calls.
const LOOK_EVERY: u64 = 20_000;
/// What the steps of a turn write is sent together: that is cheaper than one by one. After so many, or so long, it is not waited for the
/// turn's end.
const STEPS_A_FLUSH: usize = 64;
const TIME_A_FLUSH: u64 = 500_000;
/// The clock is read after so many.
const STEPS_A_LOOK: usize = 8;
/// asyncio's own bound, in seconds: a timer that is due in years must not overflow what the kernel counts in.
const LONGEST_WAIT: f64 = 24.0 * 3600.0;
/// A timer that is due within so many seconds is due: the clock counts in nanoseconds. Where a float's steps are larger, within one.
const RESOLUTION: f64 = 1e-9;

/// How long a turn may wait.
enum Wait {
    /// It looks for events only.
    Not,
    For(Duration),
    Forever,
}

/// Takes turns until the loop is to stop.
pub(crate) fn run(event_loop: &Bound<'_, NativeLoop>) -> PyResult<()> {
    let state = &event_loop.get().state;
    let mut turn = Turn {
        event_loop,
        state,
        selector: state.selector(event_loop.py())?,
        class_clock: clock::is_of_the_class(event_loop)?,
        events: Events::new(),
        settled: false,
        share: Share::default(),
    };
    // The first turn looks at the kernel whatever is ready: programs count on one turn's doing all.
    state.looked.store(0, Relaxed);
    loop {
        turn.take()?;
        if state.stopping.load(Relaxed) {
            return Ok(());
        }
    }
}

/// Sends what was written in this step so far.
pub(crate) fn send_written(event_loop: &Bound<'_, NativeLoop>) -> PyResult<()> {
    let (py, state) = (event_loop.py(), &event_loop.get().state);
    match state.unsent.take(py) {
        Some(transports) => send_each(py, state, transports),
        None => Ok(()),
    }
}

/// An exception that ends the run leaves none of them unsent.
fn send_each(py: Python<'_>, state: &State, mut transports: Vec<Py<PyAny>>) -> PyResult<()> {
    let mut all = Ok(());
    for transport in transports.drain(..) {
        let flushed = transports::flush(transport.bind(py));
        all = all.and(flushed);
    }
    state.unsent.put_back(py, transports);
    all
}

struct Turn<'a, 'py> {
    event_loop: &'a Bound<'py, NativeLoop>,
    state: &'a State,
    selector: Arc<Selector>,
    /// The loop's class has a clock of the program's.
    class_clock: bool,
    events: Events,
    /// The last look found nothing: what becomes ready from now on is told of.
    settled: bool,
    share: Share,
}

impl<'py> Turn<'_, 'py> {
    fn take(&mut self) -> PyResult<()> {
        let py = self.event_loop.py();
        self.state.sweep(py)?;
        self.look(py)?;
        self.take_due(py)?;
        guest::serve(self.event_loop)?;
        let count = self.state.ready.with(py, |ready| ready.len());
        self.state.calling.store(true, Relaxed);
        let called = if self.state.is_debug() {
            self.call_in_debug(py, count)
        } else {
            self.call(py, count)
        };
        self.state.calling.store(false, Relaxed);
        called?;
        py.check_signals()
    }

    /// Waits for events, unless something is to be done already.
    fn look(&mut self, py: Python<'py>) -> PyResult<()> {
        let busy = self.is_busy(py);
        let now = platform::nanoseconds();
        if busy && now - self.state.looked.load(Relaxed) < LOOK_EVERY {
            return Ok(());
        }
        self.state.looked.store(now, Relaxed);
        clock::look(self.event_loop, self.class_clock)?;
        let wait = if busy { Wait::Not } else { self.wait(py)? };
        // A clock of the program's has run since: it lets other threads run, whose calls wake only a loop that sleeps.
        let wait = if self.is_busy(py) { Wait::Not } else { wait };
        match guest::sharing_runtime(self.event_loop) {
            Some(guest) => self.look_with(&guest, wait)?,
            None => self.look_alone(py, wait).map_err(Failure::Os)?,
        }
        for number in 0..self.events.len() {
            if let Some(readiness) = self.selector.read(&self.events, number) {
                self.make_ready(py, readiness)?;
            }
        }
        Ok(())
    }

    fn is_busy(&self, py: Python<'py>) -> bool {
        self.state.stopping.load(Relaxed) || self.state.ready.with(py, |ready| !ready.is_empty())
    }

    fn look_alone(&mut self, py: Python<'py>, wait: Wait) -> std::io::Result<()> {
        match wait {
            Wait::Not if self.share.is_due(self.state.looked.load(Relaxed)) => {
                self.ask(py, Some(Duration::ZERO))
            }
            Wait::Not => self.selector.wait(&mut self.events, Some(Duration::ZERO)),
            Wait::For(time) => self.sleep(py, Some(time)),
            Wait::Forever => self.sleep(py, None),
        }
    }

    /// Where a loop of callbacks lives in this one they wait in one place, where the selector is told of once only: it is asked
    /// before, until it has nothing.
    fn look_with(&mut self, guest: &Bound<'py, EventLoop>, wait: Wait) -> PyResult<()> {
        self.events.clear();
        if !self.settled {
            self.ask_beside_guest()?;
        }
        let wait = match wait {
            _ if !self.settled => driver::Wait::No,
            Wait::Not => driver::Wait::No,
            Wait::For(time) => driver::Wait::Until(Instant::now() + time),
            Wait::Forever => driver::Wait::Forever,
        };
        self.state.sleeping.store(true, Relaxed);
        let ready = guest::wait(guest, wait);
        self.state.sleeping.store(false, Relaxed);
        if ready? && self.settled {
            self.ask_beside_guest()?;
        }
        Ok(())
    }

    fn ask_beside_guest(&mut self) -> PyResult<()> {
        self.selector
            .wait(&mut self.events, Some(Duration::ZERO))
            .map_err(Failure::Os)?;
        self.settled = self.events.len() == 0;
        Ok(())
    }

    fn wait(&self, py: Python<'py>) -> PyResult<Wait> {
        let own = self.wait_for_timers(py)?;
        Ok(match (guest::rest(self.event_loop), own) {
            (Some(Duration::ZERO), _) => Wait::Not,
            (Some(rest), Wait::Forever) => Wait::For(rest),
            (Some(rest), Wait::For(own)) => Wait::For(own.min(rest)),
            (_, own) => own,
        })
    }

    fn wait_for_timers(&self, py: Python<'py>) -> PyResult<Wait> {
        let next = || self.state.timers.with(py, |timers| timers.next());
        if next().is_none() {
            return Ok(Wait::Forever);
        }
        // A clock of the program's may make or cancel timers.
        let now = clock::now(self.event_loop)?;
        let rest = next().map_or(0.0, |next| next - now);
        // Also not where it is not a number: that is due.
        Ok(if rest > 0.0 {
            Wait::For(Duration::from_secs_f64(rest.min(LONGEST_WAIT)))
        } else {
            Wait::Not
        })
    }

    /// Without the interpreter's lock, which whoever makes something ready holds: so nothing is missed.
    fn sleep(&mut self, py: Python<'py>, time: Option<Duration>) -> std::io::Result<()> {
        self.state.sleeping.store(true, Relaxed);
        let waited = self.ask(py, time);
        self.state.sleeping.store(false, Relaxed);
        waited
    }

    fn ask(&mut self, py: Python<'py>, time: Option<Duration>) -> std::io::Result<()> {
        let (selector, events) = (&self.selector, &mut self.events);
        self.share.without_gil(py, || selector.wait(events, time))
    }

    fn make_ready(&self, py: Python<'py>, readiness: Readiness) -> PyResult<()> {
        let (transport, is_called) = self.state.descriptors.with(py, |descriptors| {
            let transport = descriptors.transport(py, readiness.number);
            (transport, descriptors.is_called(readiness.number))
        });
        if let Some(transport) = transport {
            self.make_transport_ready(transport, readiness);
        }
        if !is_called {
            return Ok(());
        }
        let ways = [
            (Way::Read, readiness.what.readable),
            (Way::Write, readiness.what.writable),
        ];
        for (way, is_ready) in ways {
            if !is_ready {
                continue;
            }
            let handle = self.state.descriptors.with(py, |descriptors| {
                descriptors
                    .get(readiness.number, way)
                    .map(|handle| handle.clone_ref(py))
            });
            let Some(handle) = handle else { continue };
            if is_cancelled(handle.bind(py))? {
                self.state.unwatch(py, readiness.number, way)?;
            } else {
                self.state.push(py, handle);
            }
        }
        Ok(())
    }

    fn make_transport_ready(&self, transport: Bound<'py, PyAny>, readiness: Readiness) {
        let py = transport.py();
        let is_new = Transport::of(&transport).is_some_and(|it| it.note(py, readiness.what));
        if is_new {
            self.state.push(py, transport.unbind());
        }
    }

    /// Timers that are due join what is ready.
    fn take_due(&self, py: Python<'py>) -> PyResult<()> {
        let timers = &self.state.timers;
        let Some(next) = timers.with(py, |timers| timers.next()) else {
            return Ok(());
        };
        let now = clock::now(self.event_loop)?;
        let end = (now + RESOLUTION).max(now.next_up());
        if !is_due(next, end) {
            return Ok(());
        }
        while let Some(due) = timers.with(py, |timers| {
            timers
                .next()
                .filter(|next| is_due(*next, end))
                .and_then(|_| Timers::pop(timers))
        }) {
            unschedule(due.handle.bind(py))?;
            if is_cancelled(due.handle.bind(py))? {
                let cancelled = self.state.cancelled_timers.cell(py);
                cancelled.set(cancelled.get().saturating_sub(1));
            } else {
                self.state.push(py, due.handle);
            }
        }
        Ok(())
    }

    fn call(&self, py: Python<'py>, count: usize) -> PyResult<()> {
        let called = self.call_each(py, count);
        // Also what was written before an exception that ends the run.
        self.flush(py).and(called)
    }

    fn call_each(&self, py: Python<'py>, count: usize) -> PyResult<()> {
        // A short turn does not read the clock.
        let (mut flushed, mut since) = (0, None);
        for number in 1..=count {
            let Some(handle) = self.state.ready.with(py, |ready| ready.pop_front()) else {
                break;
            };
            let handle = handle.into_bound(py);
            let called = run_one(py, &handle)
                .or_else(|error| handle::tell_of(self.event_loop, &handle, error));
            handle::finish(&handle);
            called?;
            if self.state.unsent.is_much() {
                self.flush(py)?;
            } else if number.is_multiple_of(STEPS_A_LOOK) {
                let now = platform::nanoseconds();
                let time = now - *since.get_or_insert(now);
                if number - flushed >= STEPS_A_FLUSH || time >= TIME_A_FLUSH {
                    (flushed, since) = (number, Some(now));
                    self.flush(py)?;
                }
            }
        }
        Ok(())
    }

    /// Each is timed, as asyncio's debug mode has it.
    fn call_in_debug(&self, py: Python<'py>, count: usize) -> PyResult<()> {
        for _ in 0..count {
            let Some(handle) = self.state.ready.with(py, |ready| ready.pop_front()) else {
                break;
            };
            let mut handle = handle.into_bound(py);
            if let Some(transport) = Transport::of(&handle) {
                let step = handle.getattr("_on_ready")?;
                let context = transport.context(py);
                handle = self
                    .event_loop
                    .method("_debug_handle", (step, (), context))?;
            }
            let called = if is_cancelled(&handle)? {
                Ok(())
            } else {
                self.call_timed(&handle)
            };
            drop(handle);
            self.flush(py)?;
            called?;
        }
        Ok(())
    }

    /// Not in Python: a frame that had the handle would be kept, and with it the task, by the traceback of a task's exception.
    fn call_timed(&self, handle: &Bound<'py, PyAny>) -> PyResult<()> {
        self.event_loop.setattr("_current_handle", handle)?;
        let began = State::time();
        let result = handle.method("_run", ());
        let took = State::time() - began;
        self.event_loop
            .setattr("_current_handle", handle.py().None())?;
        result?;
        let slow: f64 = self
            .event_loop
            .getattr("slow_callback_duration")?
            .extract()?;
        if took >= slow {
            self.event_loop.method("_warn_of_slow", (handle, took))?;
        }
        Ok(())
    }

    /// What callbacks wrote is sent.
    #[inline(always)]
    fn flush(&self, py: Python<'py>) -> PyResult<()> {
        guest::serve(self.event_loop)?;
        let Some(transports) = self.state.unsent.take(py) else {
            return Ok(());
        };
        send_each(py, self.state, transports).and_then(|()| self.flush(py))
    }
}

#[inline(always)]
fn run_one(py: Python<'_>, handle: &Bound<'_, PyAny>) -> PyResult<()> {
    if handle::of(handle).is_some() {
        return handle::run(py, handle);
    }
    if let Some(transport) = Transport::of(handle) {
        return transport.run();
    }
    if is_cancelled(handle)? {
        return Ok(());
    }
    handle::run(py, handle)
}

/// What is no number is due: it would be waited for for ever.
fn is_due(when: f64, end: f64) -> bool {
    when < end || when.is_nan()
}
