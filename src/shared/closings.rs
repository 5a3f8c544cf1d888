//! `close_cb`s that are to run: each in the turn after its socket was closed.

use crate::io::sync::Mutex;
use pyo3::prelude::*;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A `close_cb` that is to run.
pub struct Closing {
    /// Its socket.
    pub socket: Py<PyAny>,
    /// The callback.
    pub close_cb: Py<PyAny>,
    /// Kept, so that it is given what the `event_cb` was given.
    pub shown: Option<Py<PyAny>>,
}

/// The `close_cb`s of one loop that are to run: each in the turn after its socket was closed.
#[derive(Default)]
pub struct Closings {
    waiting: Mutex<VecDeque<Closing>>,
    /// How many. Read without the lock, by every turn.
    count: AtomicUsize,
}

impl Closings {
    /// How many are to run.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// One more.
    pub fn push(&self, closing: Closing) {
        self.waiting.lock().push_back(closing);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// The next one.
    pub fn pop(&self) -> Option<Closing> {
        let closing = self.waiting.lock().pop_front()?;
        self.count.fetch_sub(1, Ordering::Relaxed);
        Some(closing)
    }

    /// For Python's garbage collector: no lock is waited for.
    pub fn visit(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        let Some(waiting) = self.waiting.try_lock() else {
            return Ok(());
        };
        for closing in waiting.iter() {
            visit.call(&closing.socket)?;
            visit.call(&closing.close_cb)?;
            visit.call(&closing.shown)?;
        }
        Ok(())
    }
}
