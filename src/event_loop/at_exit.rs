//! Loops that are still open when the interpreter exits, and in a forked child.

use crate::boundary::fork;
use crate::event_loop::closing;
use crate::event_loop::open_loops;
use crate::event_loop::outcome::Outcome;
use crate::event_loop::wakeup;
use crate::shared::current;
use pyo3::prelude::*;
use std::time::{Duration, Instant};

/// How long the interpreter's exit waits for loops in daemon threads: half of the second that it may take.
const PATIENCE: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(1);

/// At the interpreter's exit: closes what is still open, and waits for no callback that does not end.
#[pyfunction]
pub fn _close_at_exit(py: Python<'_>) -> PyResult<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut outcome = Outcome::default();
    let mut asked = Vec::new();
    let open = open_loops::all(py);
    for one in &open {
        outcome.note(py, closing::warn_at_exit(one));
        let state = &one.get().state;
        if state.is_own_thread() {
            outcome.note(py, closing::end(one));
        } else if !one.get().is_hosted() {
            // One that is would stop its host's run, which is an error there.
            state.exit();
            asked.push(one);
        }
    }
    let states: Vec<_> = asked.iter().map(|one| one.get().state.clone()).collect();
    py.detach(|| {
        while Instant::now() < deadline && !states.iter().all(|state| state.is_closed()) {
            std::thread::sleep(LOOK);
        }
    });
    // The thread that pumped it may have ended. In a turn it is not ended here.
    for one in asked.into_iter().filter(|one| one.get().is_driven()) {
        outcome.note(py, closing::end(one));
    }
    outcome.result()
}

/// In a forked child: everything of the parent's loops answers `EventLoopError` from now on.
#[pyfunction]
pub fn _forked(py: Python<'_>) -> PyResult<()> {
    fork::count();
    current::forget();
    let parents = open_loops::take_all();
    let mut outcome = Outcome::default();
    for state in &parents {
        // Whichever thread's loop it was: a signal of the child must not wake the parent.
        outcome.note(py, wakeup::put_back(py, state));
        drop(state.take_exit_callbacks());
    }
    // What is theirs takes locks when it is dropped.
    std::mem::forget(parents);
    outcome.result()
}
