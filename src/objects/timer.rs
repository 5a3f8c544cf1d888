//! The `Timer` that `delay` and `interval` return.

use crate::boundary::callback::Which;
use crate::io::sync::Mutex;
use crate::shared::loop_state::LoopState;
use pyo3::prelude::*;
use std::sync::Arc;
use std::time::{Duration, Instant};

struct State {
    callback: Option<Py<PyAny>>,
    event_cb: Option<Py<PyAny>>,
    /// Its arming; None: not armed.
    number: Option<u64>,
    when: Instant,
    cancelled: bool,
    keeps_alive: bool,
}

/// A timer of `delay` or `interval`. Its methods may be called from any thread; in a forked child they raise `EventLoopError`.
#[pyclass(frozen, weakref, module = "asynctcp")]
pub struct Timer {
    event_loop: Arc<LoopState>,
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
    /// Arms a new timer of `event_loop`.
    pub fn start(
        py: Python<'_>,
        event_loop: Arc<LoopState>,
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
                event_loop: event_loop.clone(),
                every,
                state: Mutex::new(state),
            },
        )?;
        timer.get().arm(timer.clone_ref(py), when);
        event_loop.timers.added();
        event_loop.nudge();
        Ok(timer)
    }

    fn arm(&self, me: Py<Self>, when: Instant) {
        // The number is known only under the heap's lock; a cancel in between cannot be: the GIL is held.
        let number = self.event_loop.timers.arm(when, me.into_any());
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
        self.event_loop.timers.removed(alive);
    }

    fn set_keeps_alive(&self, keeps_alive: bool) {
        let changed = {
            let mut state = self.state.lock();
            let changed = state.keeps_alive != keeps_alive && state.number.is_some();
            state.keeps_alive = keeps_alive;
            changed
        };
        if changed {
            self.event_loop.timers.set_alive(keeps_alive);
            self.event_loop.nudge();
        }
    }

    /// Lets go of its callbacks, when the loop ends.
    pub fn end(&self) {
        let dropped = {
            let mut state = self.state.lock();
            state.cancelled |= state.number.take().is_some();
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
        timer.event_loop.check_process(slf.py())?;
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
            timer.event_loop.timers.removed(alive);
            timer.event_loop.timers.went_stale(|other, number| {
                let other = other.bind(slf.py()).cast::<Self>();
                other.is_ok_and(|other| other.get().waits_for(number))
            });
            timer.event_loop.nudge();
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
        self.event_loop.check_process(py)?;
        self.set_keeps_alive(true);
        Ok(())
    }

    /// Lets the loop end although the timer is armed.
    fn unref(&self, py: Python<'_>) -> PyResult<()> {
        self.event_loop.check_process(py)?;
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
