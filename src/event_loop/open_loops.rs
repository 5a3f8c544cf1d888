//! The open loops of all threads, for the interpreter's exit and for forked children.

use crate::event_loop::object::EventLoop;
use crate::io::sync::Mutex;
use crate::shared::loop_state::LoopState;
use pyo3::prelude::*;
use pyo3::types::{PyWeakrefMethods, PyWeakrefReference};
use std::sync::Arc;

struct Open {
    state: Arc<LoopState>,
    event_loop: Py<PyWeakrefReference>,
}

/// Taken with the interpreter's lock held; no Python object is made or dropped under it.
static OPEN: Mutex<Vec<Open>> = Mutex::new(Vec::new());

/// It has begun.
pub fn add(event_loop: &Bound<'_, EventLoop>) -> PyResult<()> {
    let open = Open {
        state: event_loop.get().state.clone(),
        event_loop: PyWeakrefReference::new(event_loop)?.unbind(),
    };
    OPEN.lock().push(open);
    Ok(())
}

/// It has ended.
pub fn remove(_py: Python<'_>, state: &Arc<LoopState>) {
    let removed = {
        let mut open = OPEN.lock();
        let place = open.iter().position(|one| Arc::ptr_eq(&one.state, state));
        place.map(|place| open.swap_remove(place))
    };
    drop(removed);
}

/// The object that `state` is of, while it lives.
pub fn object<'py>(py: Python<'py>, state: &Arc<LoopState>) -> Option<Bound<'py, PyAny>> {
    let open = OPEN.lock();
    let one = open.iter().find(|one| Arc::ptr_eq(&one.state, state))?;
    one.event_loop.bind(py).upgrade()
}

/// All that live.
pub fn all(py: Python<'_>) -> Vec<Bound<'_, EventLoop>> {
    let open = OPEN.lock();
    let alive = open
        .iter()
        .filter_map(|one| one.event_loop.bind(py).upgrade());
    alive.filter_map(|one| one.cast_into().ok()).collect()
}

/// In a forked child: what the parent had open, which is not to be dropped.
pub fn take_all() -> Vec<Arc<LoopState>> {
    let parents = std::mem::take(&mut *OPEN.lock());
    let states = parents.iter().map(|one| one.state.clone()).collect();
    // What is theirs takes locks when it is dropped.
    std::mem::forget(parents);
    states
}
