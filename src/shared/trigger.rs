//! What a notifier calls, once for all triggers that come before it ran.

use crate::io::sync::Mutex;
use pyo3::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};

/// One per notifier.
pub struct Trigger {
    /// It is on its way.
    pending: AtomicBool,
    /// Taken with the interpreter's lock held, and nothing of Python's runs under it: a signal's handler finds it free.
    functions: Mutex<Functions>,
}

/// What the app gave.
pub struct Functions {
    /// None: freed.
    pub callback: Option<Py<PyAny>>,
    /// Where its exceptions go.
    pub event_cb: Option<Py<PyAny>>,
}

impl Trigger {
    /// Of these functions.
    pub fn new(functions: Functions) -> Self {
        Self {
            pending: AtomicBool::new(false),
            functions: Mutex::new(functions),
        }
    }

    /// Whether nothing will be called any more.
    pub fn is_freed(&self) -> bool {
        self.functions.lock().callback.is_none()
    }

    /// Its `event_cb`.
    pub fn event_cb(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let functions = self.functions.lock();
        let event_cb = functions.event_cb.as_ref();
        event_cb.map(|event_cb| event_cb.clone_ref(py))
    }

    /// Whether it is on its way now and was not before.
    pub fn pull(&self) -> bool {
        !self.pending.swap(true, Ordering::SeqCst)
    }

    /// It is due: what to call, unless it was freed since. Triggers from now on are another.
    pub fn begin<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.pending.store(false, Ordering::SeqCst);
        let functions = self.functions.lock();
        let callback = functions.callback.as_ref();
        callback.map(|callback| callback.bind(py).clone())
    }

    /// Takes out what is called; the caller drops it.
    pub fn free(&self) -> Functions {
        let mut functions = self.functions.lock();
        Functions {
            callback: functions.callback.take(),
            event_cb: functions.event_cb.take(),
        }
    }

    /// For Python's garbage collector: no lock is waited for.
    pub fn visit(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        match self.functions.try_lock() {
            Some(functions) => {
                visit.call(&functions.callback)?;
                visit.call(&functions.event_cb)
            }
            None => Ok(()),
        }
    }
}
