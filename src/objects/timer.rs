//! `delay` and `interval`: timers that the pump keeps itself, since only it can run their callbacks.

use crate::boundary::args;
use crate::event_loop::state::Core;
use crate::io::sync::Mutex;
use crate::turn::app_error::Which;
use pyo3::prelude::*;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// One arming of a timer. Ordered by time, then first in, first out.
struct Due {
    when: Instant,
    number: u64,
    timer: Py<Timer>,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.when, self.number).cmp(&(other.when, other.number))
    }
}

#[derive(Default)]
struct Heap {
    due: BinaryHeap<Reverse<Due>>,
    /// Numbers the armings.
    next: u64,
    /// Armings whose timer was cancelled.
    stale: usize,
}

/// All timers of a loop.
#[derive(Default)]
pub struct Timers {
    heap: Mutex<Heap>,
    /// Armed timers that keep the loop alive.
    alive: AtomicUsize,
    armed: AtomicUsize,
}

impl Timers {
    /// Whether an armed timer keeps the loop alive.
    pub fn any_alive(&self) -> bool {
        self.alive.load(Ordering::SeqCst) > 0
    }

    /// How many are armed.
    pub fn armed(&self) -> usize {
        self.armed.load(Ordering::SeqCst)
    }

    /// When the next one is due.
    pub fn next(&self) -> Option<Instant> {
        if self.armed() == 0 {
            return None;
        }
        self.heap.lock().due.peek().map(|Reverse(due)| due.when)
    }

    /// The number that the next arming gets: those of this turn have smaller ones.
    pub fn mark(&self) -> u64 {
        self.heap.lock().next
    }

    /// Takes the first timer that is due now and was armed before `mark`, with its number.
    pub fn take_due(&self, now: Instant, mark: u64) -> Option<(Py<Timer>, u64)> {
        let mut heap = self.heap.lock();
        let Reverse(first) = heap.due.peek()?;
        if first.when > now || first.number >= mark {
            return None;
        }
        heap.due.pop().map(|Reverse(due)| (due.timer, due.number))
    }

    fn arm(&self, when: Instant, timer: Py<Timer>) -> u64 {
        let mut heap = self.heap.lock();
        let number = heap.next;
        heap.next += 1;
        heap.due.push(Reverse(Due {
            when,
            number,
            timer,
        }));
        number
    }

    /// A cancelled timer's arming stays in the heap until it is due or until such armings are most of the heap.
    fn went_stale(&self) {
        let removed = {
            let mut heap = self.heap.lock();
            heap.stale += 1;
            if heap.stale < 64 || heap.stale * 2 < heap.due.len() {
                return;
            }
            heap.stale = 0;
            let due = std::mem::take(&mut heap.due);
            let (kept, removed): (Vec<_>, Vec<_>) = due
                .into_iter()
                .partition(|Reverse(due)| due.timer.get().waits_for(due.number));
            heap.due = kept.into();
            removed
        };
        // Not under the lock: the timers' callbacks are Python's.
        drop(removed);
    }

    /// For Python's garbage collector: no lock is waited for.
    pub fn visit(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        match self.heap.try_lock() {
            Some(heap) => heap
                .due
                .iter()
                .try_for_each(|Reverse(due)| visit.call(&due.timer)),
            None => Ok(()),
        }
    }

    /// Empties the heap, when the loop ends; the caller drops the timers.
    pub fn take_all(&self) -> Vec<Py<Timer>> {
        let heap = std::mem::take(&mut *self.heap.lock());
        self.alive.store(0, Ordering::SeqCst);
        self.armed.store(0, Ordering::SeqCst);
        heap.due.into_iter().map(|Reverse(due)| due.timer).collect()
    }

    fn count(&self, armed: bool, alive: bool, up: bool) {
        let step = |count: &AtomicUsize| {
            if up {
                count.fetch_add(1, Ordering::SeqCst)
            } else {
                count.fetch_sub(1, Ordering::SeqCst)
            }
        };
        if armed {
            step(&self.armed);
        }
        if alive {
            step(&self.alive);
        }
    }
}

struct State {
    callback: Option<Py<PyAny>>,
    event_cb: Option<Py<PyAny>>,
    /// Its arming; None: not armed.
    number: Option<u64>,
    when: Instant,
    cancelled: bool,
    keeps_alive: bool,
}

/// A timer of `delay` or `interval`. Its methods may be called from any thread.
#[pyclass(frozen, weakref, module = "asynctcp")]
pub struct Timer {
    core: Arc<Core>,
    every: Option<Duration>,
    state: Mutex<State>,
}

/// What a due timer calls.
pub struct Firing {
    /// The app's callback.
    pub callback: Py<PyAny>,
    /// Where its exception goes.
    pub event_cb: Option<Py<PyAny>>,
    /// What it is.
    pub which: Which,
}

impl Timer {
    /// Arms a new timer of `core`.
    pub fn start(
        py: Python<'_>,
        core: Arc<Core>,
        callback: Py<PyAny>,
        event_cb: Option<Py<PyAny>>,
        after: Duration,
        every: Option<Duration>,
    ) -> PyResult<Py<Self>> {
        let when = Instant::now() + after;
        let state = State {
            callback: Some(callback),
            event_cb,
            number: None,
            when,
            cancelled: false,
            keeps_alive: true,
        };
        let timer = Py::new(
            py,
            Self {
                core: core.clone(),
                every,
                state: Mutex::new(state),
            },
        )?;
        timer.get().arm(timer.clone_ref(py), when);
        core.timers.count(true, true, true);
        core.nudge();
        Ok(timer)
    }

    fn arm(&self, me: Py<Self>, when: Instant) {
        // The number is known only under the heap's lock; a cancel in between cannot be: the GIL is held.
        let number = self.core.timers.arm(when, me);
        let mut state = self.state.lock();
        state.number = Some(number);
        state.when = when;
    }

    fn waits_for(&self, number: u64) -> bool {
        self.state.lock().number == Some(number)
    }

    /// Its arming `number` is due: what to call, unless that arming was cancelled. An interval is armed anew first.
    pub fn fire(me: &Bound<'_, Self>, number: u64, now: Instant) -> Option<Firing> {
        let py = me.py();
        let timer = me.get();
        let (firing, when) = {
            let mut state = timer.state.lock();
            if state.number != Some(number) {
                return None;
            }
            state.number = None;
            let (which, callback) = match timer.every {
                Some(_) => {
                    let callback = state.callback.as_ref();
                    let callback = callback.map(|callback| callback.clone_ref(py));
                    (Which::Interval, callback)
                }
                None => (Which::Delay, state.callback.take()),
            };
            let event_cb = state
                .event_cb
                .as_ref()
                .map(|event_cb| event_cb.clone_ref(py));
            let firing = callback.map(|callback| Firing {
                callback,
                event_cb,
                which,
            });
            (firing, state.when)
        };
        match timer.every {
            Some(every) => timer.arm(me.clone().unbind(), next_beat(when, every, now)),
            None => timer.uncount(),
        }
        firing
    }

    fn uncount(&self) {
        let alive = self.state.lock().keeps_alive;
        self.core.timers.count(true, alive, false);
    }

    fn set_keeps_alive(&self, keeps_alive: bool) {
        let changed = {
            let mut state = self.state.lock();
            let changed = state.keeps_alive != keeps_alive && state.number.is_some();
            state.keeps_alive = keeps_alive;
            changed
        };
        if changed {
            self.core.timers.count(false, true, keeps_alive);
            self.core.nudge();
        }
    }

    /// Lets go of its callbacks, when the loop ends.
    pub fn end(&self) {
        let dropped = {
            let mut state = self.state.lock();
            state.number = None;
            (state.callback.take(), state.event_cb.take())
        };
        drop(dropped);
    }
}

/// The first multiple of `every` after `now`, counted from `when`: no drift, and beats that were missed are left out.
fn next_beat(when: Instant, every: Duration, now: Instant) -> Instant {
    let next = when + every;
    if next > now {
        return next;
    }
    let missed = (now - when).as_nanos() / every.as_nanos().max(1);
    let ahead = u32::try_from(missed).unwrap_or(u32::MAX - 1) + 1;
    when + every * ahead
}

#[pymethods]
impl Timer {
    /// Cancels it: the callback does not run (again) and is let go. Cancelling twice does nothing.
    pub fn cancel(slf: &Bound<'_, Self>) -> PyResult<()> {
        let timer = slf.get();
        timer.core.check_process(slf.py())?;
        let (dropped, was_armed, alive) = {
            let mut state = timer.state.lock();
            state.cancelled |= state.callback.is_some();
            let armed = state.number.take().is_some();
            (
                (state.callback.take(), state.event_cb.take()),
                armed,
                state.keeps_alive,
            )
        };
        drop(dropped);
        if was_armed {
            timer.core.timers.count(true, alive, false);
            timer.core.timers.went_stale();
            timer.core.nudge();
        }
        Ok(())
    }

    /// The same as `cancel()`: cl-async's `interval` returns a function that ends it.
    fn __call__(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::cancel(slf)
    }

    /// Whether it was cancelled before it ran; an interval, whether it was cancelled at all.
    #[getter]
    fn cancelled(&self) -> bool {
        self.state.lock().cancelled
    }

    /// Lets it keep the loop alive again (the default).
    fn r#ref(&self, py: Python<'_>) -> PyResult<()> {
        self.core.check_process(py)?;
        self.set_keeps_alive(true);
        Ok(())
    }

    /// Lets the loop end although the timer is armed.
    fn unref(&self, py: Python<'_>) -> PyResult<()> {
        self.core.check_process(py)?;
        self.set_keeps_alive(false);
        Ok(())
    }

    fn __repr__(&self) -> String {
        let state = self.state.lock();
        let what = match (state.cancelled, state.number) {
            (true, _) => "cancelled".to_owned(),
            (false, Some(_)) => {
                format!(
                    "due in {:.3} s",
                    state
                        .when
                        .saturating_duration_since(Instant::now())
                        .as_secs_f64()
                )
            }
            (false, None) => "done".to_owned(),
        };
        format!("<asynctcp.Timer {what}>")
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        if let Some(state) = self.state.try_lock() {
            visit.call(&state.callback)?;
            visit.call(&state.event_cb)?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        self.end();
    }
}

/// Runs `callback()` once, `time` seconds from now, in the loop's thread.
///
/// Args:
///     callback: a callable without arguments.
///     time: seconds (int or float, not negative); None or 0: in the next turn of the loop, first in, first out.
///     event_cb: where an exception of the callback goes with `catch_app_errors=True`.
///
/// Returns the `Timer`. Raises `EventLoopError` without a loop, `TypeError` or `ValueError` for a bad argument.
/// cl-async: `delay`.
#[pyfunction]
#[pyo3(signature = (callback, time=None, *, event_cb=None))]
pub fn delay(
    callback: &Bound<'_, PyAny>,
    time: Option<&Bound<'_, PyAny>>,
    event_cb: Option<&Bound<'_, PyAny>>,
) -> PyResult<Py<Timer>> {
    let py = callback.py();
    let core = Core::current(py)?;
    let event_cb = args::callback("event_cb", event_cb)?;
    let after = args::delay("time", time)?;
    Timer::start(
        py,
        core,
        args::required_callback("callback", callback)?,
        event_cb,
        after,
        None,
    )
}

/// Runs `callback()` every `time` seconds, in the loop's thread, without drift.
///
/// Args:
///     callback: a callable without arguments.
///     time: seconds between two runs (int or float, more than 0). Beats missed by a busy loop are left out.
///     event_cb: where an exception of the callback goes with `catch_app_errors=True`; the interval goes on.
///
/// Returns the `Timer`; calling it, `remove_interval(it)` or its `cancel()` ends it. Raises `EventLoopError` without
/// a loop, `TypeError` or `ValueError` for a bad argument. cl-async: `interval`.
#[pyfunction]
#[pyo3(signature = (callback, time, *, event_cb=None))]
pub fn interval(
    callback: &Bound<'_, PyAny>,
    time: &Bound<'_, PyAny>,
    event_cb: Option<&Bound<'_, PyAny>>,
) -> PyResult<Py<Timer>> {
    let py = callback.py();
    let core = Core::current(py)?;
    let event_cb = args::callback("event_cb", event_cb)?;
    let every = args::period("time", time)?;
    let callback = args::required_callback("callback", callback)?;
    Timer::start(py, core, callback, event_cb, every, Some(every))
}
