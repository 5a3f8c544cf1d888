//! The stages of a loop's life: begin and turns; the end is in `closing.rs`. Each is one piece of native code.
//!
//! A signal's handler runs between two instructions of Python code, and may raise there; so nothing of a begin or an end
//! is Python code but what the app gave.

use crate::boundary::call_app::call_app;
use crate::boundary::callback::Which;
use crate::boundary::condition;
use crate::event_loop::closing::{close_all, end, warn_of_open};
use crate::event_loop::object::EventLoop;
use crate::event_loop::open_loops;
use crate::event_loop::outcome::Outcome;
use crate::event_loop::running::Running;
use crate::io::runtime::driver::Wait;
use crate::io::sys::platform::epoll::Selector;
use crate::shared::loop_state::{Life, LoopState};
use crate::turn::app_error::{Catch, Whose};
use crate::turn::foreign::Foreign;
use crate::turn::policy::Policy;
use crate::turn::pump::Pump;
use pyo3::exceptions::{PyKeyboardInterrupt, PySystemExit};
use pyo3::prelude::*;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Puts it back after its turns, also where they panic.
struct Turning<'a> {
    me: &'a EventLoop,
    running: Option<Box<Running>>,
}

impl<'a> Turning<'a> {
    fn take(py: Python<'_>, me: &'a EventLoop) -> PyResult<Self> {
        me.state.check_process(py)?;
        let running = me.running.lock().take();
        if running.is_some() {
            return Ok(Self { me, running });
        }
        let message = if me.state.life() == Life::Ended {
            "the event loop has ended"
        } else {
            "the event loop is not running, or a callback turned it"
        };
        Err(condition::loop_error(py, message))
    }

    fn parts(&mut self) -> Option<(&mut Pump, Option<&mut Foreign>)> {
        let running = self.running.as_mut()?;
        Some((running.pump.as_mut()?, running.foreign.as_mut()))
    }
}

impl Drop for Turning<'_> {
    fn drop(&mut self) {
        *self.me.running.lock() = self.running.take();
    }
}

/// Starts the runtime, and makes it the thread's loop if it is to own that.
pub fn begin(slf: &Bound<'_, EventLoop>, policy: Policy) -> PyResult<()> {
    begin_with(slf, policy, None)
}

/// Begins it in the place where `host` waits.
pub(crate) fn begin_hosted(slf: &Bound<'_, EventLoop>, host: Arc<Selector>) -> PyResult<()> {
    begin_with(slf, Policy::HOSTED, Some(host))
}

fn begin_with(
    slf: &Bound<'_, EventLoop>,
    policy: Policy,
    host: Option<Arc<Selector>>,
) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    me.state.check_process(py)?;
    if policy.owns_thread {
        check_alone(py, me)?;
    }
    if me.state.life() != Life::Fresh {
        let message = "an event loop runs once: make a new one";
        return Err(condition::loop_error(py, message));
    }
    open_loops::add(slf)?;
    match Running::start(py, &me.state, me.io_threads, policy, host) {
        Ok(running) => {
            if let Some(foreign) = &running.foreign {
                let _ = me.bell.set(foreign.bell().clone());
            }
            let _ = me.policy.set(policy);
            *me.running.lock() = Some(Box::new(running));
        }
        Err(error) => {
            open_loops::remove(py, &me.state);
            return Err(error);
        }
    }
    me.state.set_life(Life::Running);
    if policy.owns_thread {
        me.state.set_thread();
        LoopState::make_current(Some(me.state.clone()));
    }
    let watched = watch(slf);
    if watched.is_err() {
        let mut outcome = Outcome::from(watched);
        outcome.note(py, end(slf));
        return outcome.result();
    }
    Ok(())
}

/// In debug mode, starts the thread that looks for callbacks that hold the loop.
fn watch(slf: &Bound<'_, EventLoop>) -> PyResult<()> {
    if slf.get().state.beat().is_none() {
        return Ok(());
    }
    let debug = slf.py().import("asynctcp._debug")?;
    debug.getattr("Watchdog")?.call1((slf,)).map(drop)
}

/// Begin, `start_fn`, turns until nothing is left to do, end.
pub fn run(slf: &Bound<'_, EventLoop>, start_fn: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    begin(slf, Policy::ALONE)?;
    let started = start_fn.map_or(Ok(()), |start_fn| start(slf, start_fn));
    finish(slf, started)
}

/// What is left of a run when its start is done with.
pub fn finish(slf: &Bound<'_, EventLoop>, started: PyResult<()>) -> PyResult<()> {
    let ran = started.and_then(|()| drain(slf));
    let mut outcome = Outcome::from(ran);
    outcome.note(slf.py(), end(slf));
    outcome.result()
}

/// Runs `start_fn()` as the loop's first callback.
fn start(slf: &Bound<'_, EventLoop>, start_fn: &Bound<'_, PyAny>) -> PyResult<()> {
    let me = slf.get();
    me.tick();
    let warned = &me.state.warned_functions;
    let started = call_app(warned, Which::Start, start_fn, (), |error| match me.catch {
        Catch::With(_) => {
            let whose = Whose::Other(None);
            me.catch.take(warned, error, Which::Start, start_fn, whose)
        }
        // A program that could not start has not started.
        Catch::Nothing | Catch::All { .. } => Err(error),
    });
    me.tick();
    started
}

fn drain(slf: &Bound<'_, EventLoop>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let mut turning = Turning::take(py, me)?;
    let Some((pump, _)) = turning.parts() else {
        return Ok(());
    };
    while pump.turn(py, &me.state, &me.catch)? {}
    Ok(())
}

/// One turn of a loop that a foreign loop drives, which waits at most `patience` for something to do. How many callbacks and
/// events it was.
pub fn pump(slf: &Bound<'_, EventLoop>, patience: Option<Duration>) -> PyResult<usize> {
    let (py, me) = (slf.py(), slf.get());
    if !me.is_driven() {
        begin(slf, Policy::FOREIGN)?;
    }
    if me.bell.get().is_none() {
        let message = "the asyncio loop in which this event loop lives turns it";
        return Err(condition::loop_error(py, message));
    }
    if !me.state.is_own_thread() {
        let message = "this event loop is pumped in another thread";
        return Err(condition::loop_error(py, message));
    }
    let inside = LoopState::current_here().is_some_and(|current| {
        // It may be the thread's own and yet not in a turn: inside an asyncio loop.
        !Arc::ptr_eq(&current, &me.state) || me.running.lock().is_none()
    });
    if inside {
        let message = "pump() cannot be called inside of a running event loop";
        return Err(condition::loop_error(py, message));
    }
    driven(slf, |turning| pump_once(py, me, turning, patience))
}

/// A turn in the place of the host's wait. Whether something in the host's selector has become ready.
pub(crate) fn turn_while_host_waits(slf: &Bound<'_, EventLoop>, wait: Wait) -> PyResult<bool> {
    let (py, me) = (slf.py(), slf.get());
    driven(slf, |turning| {
        let Some((pump, _)) = turning.parts() else {
            return Ok(true);
        };
        pump.turn_while_host_waits(py, &me.state, &me.catch, wait)
    })
}

/// A turn between two steps of the host's, without a look for the kernel's events.
pub(crate) fn serve_guest(slf: &Bound<'_, EventLoop>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    driven(slf, |turning| {
        let Some((pump, _)) = turning.parts() else {
            return Ok(());
        };
        pump.turn(py, &me.state, &me.catch).map(drop)
    })
}

/// A turn that another loop has it take, in this thread; and its end, if that is due then.
fn driven<T: Default>(
    slf: &Bound<'_, EventLoop>,
    turn: impl FnOnce(&mut Turning<'_>) -> PyResult<T>,
) -> PyResult<T> {
    let (py, me) = (slf.py(), slf.get());
    let mut turning = Turning::take(py, me)?;
    me.state.set_thread();
    let before = LoopState::make_current(Some(me.state.clone()));
    let turned = turn(&mut turning);
    LoopState::make_current(before);
    drop(turning);
    if let Err(error) = &turned
        && (error.is_instance_of::<PyKeyboardInterrupt>(py)
            || error.is_instance_of::<PySystemExit>(py))
    {
        me.state.exit();
    }
    if !me.state.is_exiting() {
        return turned;
    }
    let (value, mut outcome) = match turned {
        Ok(value) => (value, Outcome::default()),
        Err(error) => (T::default(), Outcome::from(Err(error))),
    };
    outcome.note(py, end(slf));
    outcome.result().map(|()| value)
}

fn pump_once(
    py: Python<'_>,
    me: &EventLoop,
    turning: &mut Turning<'_>,
    patience: Option<Duration>,
) -> PyResult<usize> {
    let Some((pump, Some(foreign))) = turning.parts() else {
        let message = "the event loop runs by itself: no foreign loop drives it";
        return Err(condition::loop_error(py, message));
    };
    if patience != Some(Duration::ZERO) {
        let deadline = patience.map(|patience| Instant::now() + patience);
        if let Err(error) = foreign.wait(py, &me.state, deadline) {
            if !me.state.is_forked() {
                // What a signal's handler left before one raised.
                let left = pump.is_behind() || me.state.has_own_work();
                foreign.listen(&me.state, left);
            }
            return Err(error);
        }
    }
    // A signal's handler may have forked, and this be the child: the bell is the parent's too.
    me.state.check_process(py)?;
    foreign.silence();
    let turned = pump.turn(py, &me.state, &me.catch);
    if !me.state.is_forked() {
        foreign.listen(&me.state, pump.is_behind());
    }
    turned.map(|_| pump.steps())
}

/// Asks the loop to end. Any thread.
pub fn exit(slf: &Bound<'_, EventLoop>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    me.state.check_process(py)?;
    let mut outcome = Outcome::default();
    let current = me.state.is_current();
    if current {
        // This closes them now; elsewhere the loop's end does.
        outcome.note(py, warn_of_open(slf));
    }
    me.state.exit();
    if current {
        drop(close_all(py, &me.state));
    }
    let turning = me.running.lock().is_none();
    if me.is_driven() && me.state.is_own_thread() && !turning && !current {
        // The other loop may never turn it again. One of ours in whose step this is will.
        outcome.note(py, end(slf));
    }
    outcome.result()
}

/// `EventLoopError` if this thread is inside a loop, or in an asyncio loop of ours whatever that was used for.
fn check_alone(py: Python<'_>, me: &EventLoop) -> PyResult<()> {
    let Some(running) = LoopState::find(py)? else {
        return Ok(());
    };
    let message = if Arc::ptr_eq(&running, &me.state) {
        "this event loop is running already"
    } else {
        "another event loop runs in this thread already"
    };
    Err(condition::loop_error(py, message))
}
