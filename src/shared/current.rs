//! The loop of a thread.

use crate::boundary::condition;
use crate::shared::loop_state::LoopState;
use pyo3::prelude::*;
use std::cell::RefCell;
use std::sync::Arc;

thread_local! {
    /// The loop that runs in this thread, or whose block is open in it.
    static CURRENT: RefCell<Option<Arc<LoopState>>> = const { RefCell::new(None) };
}

impl LoopState {
    /// The loop of this thread, or `EventLoopError`.
    pub fn current(py: Python<'_>) -> PyResult<Arc<Self>> {
        CURRENT
            .with_borrow(Clone::clone)
            .ok_or_else(|| condition::no_loop(py))
    }

    /// Makes this the thread's loop; returns the one before.
    pub fn make_current(event_loop: Option<Arc<Self>>) -> Option<Arc<Self>> {
        CURRENT.replace(event_loop)
    }

    /// Whether this thread runs the loop.
    pub fn is_current(&self) -> bool {
        CURRENT.with_borrow(|current| {
            current
                .as_ref()
                .is_some_and(|current| std::ptr::eq(&raw const **current, self))
        })
    }
}

/// In a forked child: the loop that the thread had is the parent's. Not dropped, as its runtime is shared with the parent.
pub fn forget() {
    std::mem::forget(CURRENT.take());
}
