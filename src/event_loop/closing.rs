//! The end of a loop: everything is closed, told, and let go. One piece of native code.
//!
//! Each step is done whatever the one before raised, and what was raised comes out when all is closed.

use crate::boundary::call::call;
use crate::boundary::call_app::call_app;
use crate::boundary::callback::Which;
use crate::event_loop::object::EventLoop;
use crate::event_loop::open_loops;
use crate::event_loop::outcome::Outcome;
use crate::event_loop::signals;
use crate::objects::ends::Ends;
use crate::objects::idler::Idler;
use crate::objects::poller::Poller;
use crate::objects::server::TcpServer;
use crate::objects::timer::Timer;
use crate::shared::loop_state::{Life, LoopState};
use crate::socket::object::Socket;
use crate::turn::app_error;
use crate::turn::sink::Sink;
use pyo3::exceptions::{PyException, PyResourceWarning};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Closes everything and stops the runtime. Again, and inside of a turn: nothing.
pub fn end(slf: &Bound<'_, EventLoop>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let Some(mut running) = me.running.lock().take() else {
        return Ok(());
    };
    let state = &me.state;
    if state.is_forked() {
        return Ok(());
    }
    let mut outcome = Outcome::default();
    outcome.note(py, signals::clear(py, state));
    outcome.note(py, warn_of_open(slf));
    state.set_life(Life::Ended);
    // Before its reading end goes with the runtime.
    if let Some(wakeup) = running.wakeup.take() {
        outcome.note(py, wakeup.close(py, state));
    }
    drop((close_all(py, state), state.take_posts()));
    running.stop(py);
    if !me.is_driven() {
        LoopState::make_current(None);
    }
    open_loops::remove(py, state);
    if let Some(bell) = me.bell.get() {
        bell.silence();
    }
    outcome.note(py, tell_sockets(py, state));
    outcome.note(py, call_exit_callbacks(py, state));
    state.set_closed();
    outcome.result()
}

/// A pumped loop is let go of and was not ended.
pub fn forget(slf: &Bound<'_, EventLoop>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    if !me.is_driven() || me.state.life() != Life::Running || me.state.is_forked() {
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

fn warn_of(slf: &Bound<'_, EventLoop>, message: &str) -> PyResult<()> {
    let py = slf.py();
    let about = PyDict::new(py);
    about.set_item("source", slf)?;
    about.set_item("stacklevel", 1)?;
    let warn = py.import("warnings")?.getattr("warn")?;
    warn.call((message, py.get_type::<PyResourceWarning>()), Some(&about))
        .map(drop)
}

/// At the interpreter's exit: warns of open sockets.
pub fn warn_at_exit(slf: &Bound<'_, EventLoop>) -> PyResult<()> {
    let counts = count_open(slf.py(), &slf.get().state);
    match counts.incoming + counts.outgoing {
        0 => Ok(()),
        sockets => warn_of(
            slf,
            &format!("{sockets} sockets open at exit: {}", slf.repr()?),
        ),
    }
}

/// In debug mode, a warning for each socket and server that is open.
pub fn warn_of_open(slf: &Bound<'_, EventLoop>) -> PyResult<()> {
    if slf.get().state.beat().is_none() {
        return Ok(());
    }
    let debug = slf.py().import("asynctcp._debug")?;
    call(&debug.getattr("warn_of_open")?, (slf,)).map(drop)
}

/// Marks everything closed and lets go of the callbacks; the runtime's end closes the descriptors.
pub fn close_all(py: Python<'_>, state: &LoopState) -> Vec<Py<PyAny>> {
    let objects = state.table.take_all();
    for object in &objects {
        match Sink::of(object.bind(py).clone()) {
            Some(Sink::Socket(socket)) => Socket::end_with_loop(&socket),
            Some(Sink::Server(server)) => {
                if let Some(waiting) = server.get().end() {
                    state.add_exit_callback(waiting);
                }
            }
            Some(Sink::Poller(poller)) => poller.get().end(),
            Some(Sink::Lookup(_)) | None => {}
        }
    }
    for idler in state.idlers.take_all() {
        if let Ok(idler) = idler.bind(py).cast::<Idler>() {
            idler.get().clear_callbacks();
        }
    }
    for timer in state.timers.take_all() {
        if let Ok(timer) = timer.bind(py).cast::<Timer>() {
            timer.get().end();
        }
    }
    objects
}

/// The `close_cb`s of the sockets that were open, and of those closed just before.
fn tell_sockets(py: Python<'_>, state: &LoopState) -> PyResult<()> {
    let mut outcome = Outcome::default();
    while let Some(closing) = state.closings.pop() {
        if state.is_forked() {
            break;
        }
        outcome.note(py, app_error::run_last(py, &closing));
    }
    outcome.result()
}

/// Each of them once. An `Exception` is logged: what ended the loop must not be lost.
fn call_exit_callbacks(py: Python<'_>, state: &LoopState) -> PyResult<()> {
    let mut outcome = Outcome::default();
    while let Some(callback) = state.next_exit_callback() {
        if state.is_forked() {
            break;
        }
        let callback = callback.bind(py);
        let warned = &state.warned_functions;
        let called = call_app(warned, Which::Exit, callback, (), |error| {
            if error.is_instance_of::<PyException>(py) {
                app_error::log_plain(py, error)
            } else {
                Err(error)
            }
        });
        outcome.note(py, called);
    }
    outcome.result()
}

/// How many there are.
#[derive(Default)]
pub struct Census {
    /// Servers.
    pub servers: usize,
    /// Accepted sockets.
    pub incoming: usize,
    /// Outgoing sockets.
    pub outgoing: usize,
    /// Pollers.
    pub pollers: usize,
}

/// What is open.
pub fn count_open(py: Python<'_>, state: &LoopState) -> Census {
    let mut counts = Census::default();
    state.table.each(py, |object| {
        if let Ok(socket) = object.cast::<Socket>() {
            if socket.get().is_accepted() {
                counts.incoming += 1;
            } else {
                counts.outgoing += 1;
            }
        } else if object.is_exact_instance_of::<TcpServer>() {
            counts.servers += 1;
        } else if object.is_exact_instance_of::<Poller>() {
            counts.pollers += 1;
        }
    });
    counts
}
