//! The stages of a loop's life: begin, turns, end. Each is one piece of native code.
//!
//! A signal's handler runs between two instructions of Python code, and may raise there; so nothing of a begin or an end
//! is Python code but what the app gave. Each step of the end is done whatever the one before raised, and what was raised
//! comes out when all is closed.

use crate::boundary::call::call;
use crate::boundary::condition;
use crate::boundary::coroutine;
use crate::event_loop::LoopCore;
use crate::event_loop::open_loops;
use crate::event_loop::outcome::Outcome;
use crate::event_loop::signals;
use crate::event_loop::state::{Core, Entry, Life};
use crate::event_loop::wakeup::Wakeup;
use crate::io::runtime::bell::Bell;
use crate::socket::Socket;
use crate::turn::app_error;
use crate::turn::app_error::{Catch, Which, Whose};
use crate::turn::foreign::Foreign;
use crate::turn::pump::Pump;
use pyo3::exceptions::{PyException, PyKeyboardInterrupt, PyResourceWarning, PySystemExit};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a begun loop has until its end. Taken out of the [`LoopCore`] while it takes turns.
pub struct Running {
    core: Arc<Core>,
    /// None: stopped.
    pump: Option<Pump>,
    /// Of a loop that runs in the main thread by itself.
    wakeup: Option<Wakeup>,
    /// Of a loop that a foreign loop drives.
    foreign: Option<Foreign>,
}

impl Running {
    fn start(py: Python<'_>, me: &LoopCore, foreign: bool) -> PyResult<Self> {
        let mut running = Self {
            core: me.core.clone(),
            pump: None,
            wakeup: None,
            foreign: None,
        };
        if foreign {
            let bell = Arc::new(Bell::new()?);
            // The foreign loop may be anywhere when a socket becomes ready.
            running.pump = Some(Pump::start(&me.core, me.io_threads.max(1))?);
            let _ = me.bell.set(bell.clone());
            running.foreign = Some(Foreign::new(bell));
        } else {
            running.pump = Some(Pump::start(&me.core, me.io_threads)?);
            running.wakeup = Wakeup::open(py, &me.core)?;
        }
        Ok(running)
    }

    fn stop(&mut self, py: Python<'_>) {
        let Some(pump) = self.pump.take() else {
            return;
        };
        if self.core.is_forked() {
            // The parent's: its threads are not in this process, which shares its epoll.
            std::mem::forget((pump, self.foreign.take(), self.core.clone()));
            return;
        }
        py.detach(|| pump.stop());
        self.core.lender.close(self.core.hub.rooms.close());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        Python::attach(|py| {
            if let Some(wakeup) = self.wakeup.take() {
                drop(wakeup.close(py, &self.core));
            }
            self.stop(py);
        });
    }
}

/// Puts it back after its turns, also where they panic.
struct Turning<'a> {
    me: &'a LoopCore,
    running: Option<Box<Running>>,
}

impl<'a> Turning<'a> {
    fn take(py: Python<'_>, me: &'a LoopCore) -> PyResult<Self> {
        me.core.check_process(py)?;
        let running = me.running.lock().take();
        if running.is_some() {
            return Ok(Self { me, running });
        }
        let message = if me.core.life() == Life::Ended {
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

/// Starts the runtime, and makes it the thread's loop unless a foreign loop will drive it.
pub fn begin(slf: &Bound<'_, LoopCore>, foreign: bool) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    me.core.check_process(py)?;
    if !foreign {
        check_alone(py, me)?;
    }
    if me.core.life() != Life::Fresh {
        let message = "an event loop runs once: make a new one";
        return Err(condition::loop_error(py, message));
    }
    open_loops::add(slf)?;
    match Running::start(py, me, foreign) {
        Ok(running) => *me.running.lock() = Some(Box::new(running)),
        Err(error) => {
            open_loops::remove(py, &me.core);
            return Err(error);
        }
    }
    me.core.set_life(Life::Running);
    if !foreign {
        me.core.set_thread();
        Core::make_current(Some(me.core.clone()));
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
fn watch(slf: &Bound<'_, LoopCore>) -> PyResult<()> {
    if slf.get().core.beat().is_none() {
        return Ok(());
    }
    let debug = slf.py().import("asynctcp._debug")?;
    debug.getattr("Watchdog")?.call1((slf,)).map(drop)
}

/// Begin, `start_fn`, turns until nothing is left to do, end.
pub fn run(slf: &Bound<'_, LoopCore>, start_fn: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    begin(slf, false)?;
    let started = start_fn.map_or(Ok(()), |start_fn| start(slf, start_fn));
    finish(slf, started)
}

/// What is left of a run when its start is done with.
pub fn finish(slf: &Bound<'_, LoopCore>, started: PyResult<()>) -> PyResult<()> {
    let ran = started.and_then(|()| drain(slf));
    let mut outcome = Outcome::from(ran);
    outcome.note(slf.py(), end(slf));
    outcome.result()
}

/// Runs `start_fn()` as the loop's first callback.
fn start(slf: &Bound<'_, LoopCore>, start_fn: &Bound<'_, PyAny>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    me.tick();
    let called = call(start_fn, ());
    me.tick();
    match called {
        Ok(result) => coroutine::look(&me.core, Which::Start, start_fn, &result),
        Err(error) if matches!(me.catch, Catch::With(_)) => {
            let whose = Whose::Other(None);
            me.dispatcher()
                .app_error(error, Which::Start, Some(start_fn), whose, py)
        }
        // A program that could not start has not started.
        Err(error) => Err(error),
    }
}

fn drain(slf: &Bound<'_, LoopCore>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let mut turning = Turning::take(py, me)?;
    let Some((pump, _)) = turning.parts() else {
        return Ok(());
    };
    while pump.turn(py, &me.core, &me.catch)? {}
    Ok(())
}

/// One turn of a loop that a foreign loop drives, which waits at most `patience` for something to do. How many callbacks and
/// events it was.
pub fn pump(slf: &Bound<'_, LoopCore>, patience: Option<Duration>) -> PyResult<usize> {
    let (py, me) = (slf.py(), slf.get());
    if me.bell.get().is_none() {
        begin(slf, true)?;
    }
    if !me.core.is_own_thread() {
        let message = "this event loop is pumped in another thread";
        return Err(condition::loop_error(py, message));
    }
    if Core::current(py).is_ok() {
        let message = "pump() cannot be called inside of a running event loop";
        return Err(condition::loop_error(py, message));
    }
    let mut turning = Turning::take(py, me)?;
    me.core.set_thread();
    let before = Core::make_current(Some(me.core.clone()));
    let pumped = pump_once(py, me, &mut turning, patience);
    Core::make_current(before);
    drop(turning);
    if let Err(error) = &pumped
        && (error.is_instance_of::<PyKeyboardInterrupt>(py)
            || error.is_instance_of::<PySystemExit>(py))
    {
        me.core.exit();
    }
    if !me.core.is_exiting() {
        return pumped;
    }
    let (count, mut outcome) = match pumped {
        Ok(count) => (count, Outcome::default()),
        Err(error) => (0, Outcome::from(Err(error))),
    };
    outcome.note(py, end(slf));
    outcome.result().map(|()| count)
}

fn pump_once(
    py: Python<'_>,
    me: &LoopCore,
    turning: &mut Turning<'_>,
    patience: Option<Duration>,
) -> PyResult<usize> {
    let Some((pump, Some(foreign))) = turning.parts() else {
        let message = "the event loop runs by itself: no foreign loop drives it";
        return Err(condition::loop_error(py, message));
    };
    if patience != Some(Duration::ZERO) {
        let deadline = patience.map(|patience| Instant::now() + patience);
        if let Err(error) = foreign.wait(py, &me.core, deadline) {
            if !me.core.is_forked() {
                // What a signal's handler left before one raised.
                let left = pump.is_behind() || me.core.has_own_work();
                foreign.listen(&me.core, left);
            }
            return Err(error);
        }
    }
    // A signal's handler may have forked, and this be the child: the bell is the parent's too.
    me.core.check_process(py)?;
    foreign.silence();
    let turned = pump.bounded_turn(py, &me.core, &me.catch);
    if !me.core.is_forked() {
        foreign.listen(&me.core, pump.is_behind());
    }
    turned.map(|()| pump.steps())
}

/// Asks the loop to end. Any thread.
pub fn exit(slf: &Bound<'_, LoopCore>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    me.core.check_process(py)?;
    let mut outcome = Outcome::default();
    let current = me.core.is_current();
    if current {
        // This closes them now; elsewhere the loop's end does.
        outcome.note(py, warn_of_open(slf));
    }
    me.core.exit();
    if current {
        drop(close_all(py, &me.core));
    } else if me.bell.get().is_some() && me.core.is_own_thread() {
        // A foreign loop may never pump again.
        outcome.note(py, end(slf));
    }
    outcome.result()
}

/// Closes everything and stops the runtime. Again, and inside of a turn: nothing.
pub fn end(slf: &Bound<'_, LoopCore>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let Some(mut running) = me.running.lock().take() else {
        return Ok(());
    };
    let core = &me.core;
    if core.is_forked() {
        return Ok(());
    }
    let mut outcome = Outcome::default();
    outcome.note(py, signals::clear(py, core));
    outcome.note(py, warn_of_open(slf));
    core.set_life(Life::Ended);
    // Before its reading end goes with the runtime.
    if let Some(wakeup) = running.wakeup.take() {
        outcome.note(py, wakeup.close(py, core));
    }
    drop((close_all(py, core), core.take_posts()));
    running.stop(py);
    if running.foreign.is_none() {
        Core::make_current(None);
    }
    open_loops::remove(py, core);
    if let Some(bell) = me.bell.get() {
        bell.silence();
    }
    outcome.note(py, tell_sockets(py, core));
    outcome.note(py, call_exit_callbacks(py, core));
    core.set_closed();
    outcome.result()
}

/// A pumped loop is let go of and was not ended.
pub fn forget(slf: &Bound<'_, LoopCore>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    if me.bell.get().is_none() || me.core.life() != Life::Running || me.core.is_forked() {
        return Ok(());
    }
    let shown = slf.repr().map(|shown| shown.to_string());
    let message = format!(
        "pumped and not ended by exit(): {}",
        shown.unwrap_or_default()
    );
    let mut outcome = Outcome::default();
    outcome.note(py, warn_of(slf, &message));
    outcome.note(py, end(slf));
    outcome.result()
}

fn warn_of(slf: &Bound<'_, LoopCore>, message: &str) -> PyResult<()> {
    let py = slf.py();
    let about = PyDict::new(py);
    about.set_item("source", slf)?;
    about.set_item("stacklevel", 1)?;
    let warn = py.import("warnings")?.getattr("warn")?;
    warn.call((message, py.get_type::<PyResourceWarning>()), Some(&about))
        .map(drop)
}

/// At the interpreter's exit: warns of open sockets.
pub fn warn_at_exit(slf: &Bound<'_, LoopCore>) -> PyResult<()> {
    let (_, incoming, outgoing) = slf.get().core.census();
    match incoming + outgoing {
        0 => Ok(()),
        sockets => warn_of(
            slf,
            &format!("{sockets} sockets open at exit: {}", slf.repr()?),
        ),
    }
}

/// In debug mode, a warning for each socket and server that is open.
fn warn_of_open(slf: &Bound<'_, LoopCore>) -> PyResult<()> {
    if slf.get().core.beat().is_none() {
        return Ok(());
    }
    let debug = slf.py().import("asynctcp._debug")?;
    call(&debug.getattr("warn_of_open")?, (slf,)).map(drop)
}

/// Marks everything closed and lets go of the callbacks; the runtime's end closes the descriptors.
pub fn close_all(py: Python<'_>, core: &Core) -> Vec<Entry> {
    let entries = core.take_all();
    for entry in &entries {
        match entry {
            Entry::Socket(socket) => Socket::end_with_loop(socket.bind(py)),
            Entry::Server(server) => server.get().end(),
            Entry::Lookup(_) => {}
        }
    }
    for timer in core.timers.take_all() {
        timer.get().end();
    }
    entries
}

/// The `close_cb`s of the sockets that were open, and of those closed just before.
fn tell_sockets(py: Python<'_>, core: &Core) -> PyResult<()> {
    let mut outcome = Outcome::default();
    while let Some(closing) = core.closings.pop() {
        if core.is_forked() {
            break;
        }
        outcome.note(py, app_error::run_last(py, &closing));
    }
    outcome.result()
}

/// Each of them once. An `Exception` is logged: what ended the loop must not be lost.
fn call_exit_callbacks(py: Python<'_>, core: &Core) -> PyResult<()> {
    let mut outcome = Outcome::default();
    while let Some(callback) = core.next_exit_callback() {
        if core.is_forked() {
            break;
        }
        let callback = callback.bind(py);
        outcome.note(
            py,
            match call(callback, ()) {
                Ok(result) => coroutine::look(core, Which::Exit, callback, &result),
                Err(error) if error.is_instance_of::<PyException>(py) => {
                    app_error::log_plain(py, error)
                }
                Err(error) => Err(error),
            },
        );
    }
    outcome.result()
}

/// `EventLoopError` if this thread is inside a loop.
fn check_alone(py: Python<'_>, me: &LoopCore) -> PyResult<()> {
    let Ok(running) = Core::current(py) else {
        return Ok(());
    };
    let message = if Arc::ptr_eq(&running, &me.core) {
        "this event loop is running already"
    } else {
        "another event loop runs in this thread already"
    };
    Err(condition::loop_error(py, message))
}
