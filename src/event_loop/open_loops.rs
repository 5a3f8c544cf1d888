//! The open loops of all threads, for the interpreter's exit and for forked children.

use crate::event_loop::LoopCore;
use crate::event_loop::outcome::Outcome;
use crate::event_loop::stages;
use crate::event_loop::state::Core;
use crate::event_loop::wakeup;
use crate::io::sync::Mutex;
use pyo3::prelude::*;
use pyo3::types::{PyWeakrefMethods, PyWeakrefReference};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the interpreter's exit waits for loops in daemon threads: half of the second that it may take.
const PATIENCE: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(1);

struct Open {
    core: Arc<Core>,
    event_loop: Py<PyWeakrefReference>,
}

/// Taken with the interpreter's lock held; no Python object is made or dropped under it.
static OPEN: Mutex<Vec<Open>> = Mutex::new(Vec::new());

/// It has begun.
pub fn add(event_loop: &Bound<'_, LoopCore>) -> PyResult<()> {
    let open = Open {
        core: event_loop.get().core.clone(),
        event_loop: PyWeakrefReference::new(event_loop)?.unbind(),
    };
    OPEN.lock().push(open);
    Ok(())
}

/// It has ended.
pub fn remove(_py: Python<'_>, core: &Arc<Core>) {
    let removed = {
        let mut open = OPEN.lock();
        let place = open.iter().position(|one| Arc::ptr_eq(&one.core, core));
        place.map(|place| open.swap_remove(place))
    };
    drop(removed);
}

/// The object that `core` is of, while it lives.
pub fn object<'py>(py: Python<'py>, core: &Arc<Core>) -> Option<Bound<'py, PyAny>> {
    let open = OPEN.lock();
    let one = open.iter().find(|one| Arc::ptr_eq(&one.core, core))?;
    one.event_loop.bind(py).upgrade()
}

fn all(py: Python<'_>) -> Vec<Bound<'_, LoopCore>> {
    let open = OPEN.lock();
    let alive = open
        .iter()
        .filter_map(|one| one.event_loop.bind(py).upgrade());
    alive.filter_map(|one| one.cast_into().ok()).collect()
}

/// At the interpreter's exit: closes what is still open, and waits for no callback that does not end.
#[pyfunction]
pub fn _close_at_exit(py: Python<'_>) -> PyResult<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut outcome = Outcome::default();
    let open = all(py);
    for one in &open {
        outcome.note(py, stages::warn_at_exit(one));
        if one.get().core.is_own_thread() {
            outcome.note(py, stages::end(one));
        } else {
            one.get().core.exit();
        }
    }
    let others: Vec<_> = open.iter().map(|one| one.get().core.clone()).collect();
    py.detach(|| {
        while Instant::now() < deadline && !others.iter().all(|core| core.is_closed()) {
            std::thread::sleep(LOOK);
        }
    });
    outcome.result()
}

/// In a forked child: everything of the parent's loops answers `EventLoopError` from now on.
#[pyfunction]
pub fn _forked(py: Python<'_>) -> PyResult<()> {
    crate::event_loop::state::forked();
    let parents = std::mem::take(&mut *OPEN.lock());
    let mut outcome = Outcome::default();
    for one in &parents {
        // Whichever thread's loop it was: a signal of the child must not wake the parent.
        outcome.note(py, wakeup::put_back(py, &one.core));
        drop(one.core.take_exit_callbacks());
    }
    // What is theirs takes locks when it is dropped.
    std::mem::forget(parents);
    outcome.result()
}
