//! The loop of a thread.

use crate::boundary::condition;
use crate::io::sync::Mutex;
use crate::shared::loop_state::LoopState;
use pyo3::prelude::*;
use std::cell::RefCell;
use std::sync::Arc;

/// See [`set_finder`].
static FINDER: Mutex<Option<Py<PyAny>>> = Mutex::new(None);

thread_local! {
    /// The loop that runs in this thread, or whose block is open in it.
    static CURRENT: RefCell<Option<Arc<LoopState>>> = const { RefCell::new(None) };
}

impl LoopState {
    /// The loop of this thread, or `EventLoopError`. Inside an asyncio loop of ours, that loop's own, which is made when it is asked
    /// for.
    pub fn current(py: Python<'_>) -> PyResult<Arc<Self>> {
        Self::find(py)?.ok_or_else(|| condition::no_loop(py))
    }

    /// The same; None where there is none.
    pub fn find(py: Python<'_>) -> PyResult<Option<Arc<Self>>> {
        if let Some(current) = Self::current_here() {
            return Ok(Some(current));
        }
        let finder = FINDER.lock().as_ref().map(|finder| finder.clone_ref(py));
        if let Some(finder) = finder {
            finder.bind(py).call0()?;
        }
        Ok(Self::current_here())
    }

    /// The loop that this thread has already.
    pub fn current_here() -> Option<Arc<Self>> {
        CURRENT.with_borrow(Clone::clone)
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

/// Sets what is called in a thread that has no loop, and may make one its current one.
pub fn set_finder(finder: Py<PyAny>) {
    let old = FINDER.lock().replace(finder);
    drop(old);
}

/// In a forked child: the loop that the thread had is the parent's. Not dropped, as its runtime is shared with the parent.
pub fn forget() {
    std::mem::forget(CURRENT.take());
}
