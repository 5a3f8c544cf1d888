//! What shall be done in a loop's next turn, ahead of events. Any thread may leave something.

use crate::io::sync::Mutex;
use crate::shared::trigger::Trigger;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a [`Post`] calls.
pub enum Posted {
    /// This.
    Function(Py<PyAny>),
    /// A notifier's callback, and the notifier, which lives until then.
    Trigger(Arc<Trigger>, Py<PyAny>),
}

impl Posted {
    /// What to call now; None: nothing any more.
    pub fn take<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        match self {
            Self::Function(function) => Some(function.bind(py).clone()),
            Self::Trigger(trigger, _) => trigger.begin(py),
        }
    }
}

/// A function that another thread (or this one) wants to run in the loop.
pub struct Post {
    /// The function.
    pub function: Posted,
    /// Its arguments.
    pub arguments: Py<PyTuple>,
    /// Where its exception goes.
    pub event_cb: Option<Py<PyAny>>,
}

/// All that was left.
#[derive(Default)]
pub struct Posts {
    /// `call_soon_threadsafe`, triggers, signals.
    pub calls: VecDeque<Post>,
    /// Sockets whose undelivered data can be delivered.
    pub resumed: VecDeque<Py<PyAny>>,
    /// Sockets of which a write ran into the failure that waits behind undelivered data.
    pub failed_writes: VecDeque<Py<PyAny>>,
}

impl Posts {
    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.resumed.is_empty() && self.failed_writes.is_empty()
    }
}

/// Where it is left. One per loop.
#[derive(Default)]
pub struct PostBox {
    posts: Mutex<Posts>,
    /// There are some. The interpreter's lock keeps the two in step.
    any: AtomicBool,
}

impl PostBox {
    /// Leaves something.
    pub fn leave(&self, leave: impl FnOnce(&mut Posts)) {
        leave(&mut self.posts.lock());
        self.any.store(true, Ordering::Relaxed);
    }

    /// Whether anything was left.
    pub fn has_any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// What was left.
    pub fn take(&self) -> Posts {
        self.any.store(false, Ordering::Relaxed);
        std::mem::take(&mut *self.posts.lock())
    }

    /// For Python's garbage collector: no lock is waited for.
    pub fn visit(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        let Some(posts) = self.posts.try_lock() else {
            return Ok(());
        };
        for call in &posts.calls {
            match &call.function {
                Posted::Function(object) | Posted::Trigger(_, object) => visit.call(object)?,
            }
            visit.call(&call.arguments)?;
            visit.call(&call.event_cb)?;
        }
        let sockets = posts.resumed.iter().chain(&posts.failed_writes);
        sockets
            .into_iter()
            .try_for_each(|socket| visit.call(socket))
    }
}
