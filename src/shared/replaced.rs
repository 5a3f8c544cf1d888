//! What a loop put in the place of the process's own while it runs: signal handlers, Python's wake-up descriptor.

use crate::io::sync::Mutex;
use crate::io::sys::platform::RawFd;
use pyo3::prelude::*;

/// Which wake-up descriptors were exchanged.
#[derive(Debug, Clone, Copy)]
pub struct Exchanged {
    /// The loop's own.
    pub ours: RawFd,
    /// The one of before.
    pub before: RawFd,
    /// Which file `before` was.
    pub file: Option<(u64, u64)>,
}

/// One per loop.
#[derive(Default)]
pub struct Replaced {
    /// Signals that the loop handles, and what handled them before.
    signals: Mutex<Vec<(i32, Py<PyAny>)>>,
    wakeup: Mutex<Option<Exchanged>>,
}

impl Replaced {
    /// Which wake-up descriptors were exchanged; returns what was there.
    pub fn set_wakeup(&self, exchanged: Option<Exchanged>) -> Option<Exchanged> {
        std::mem::replace(&mut *self.wakeup.lock(), exchanged)
    }

    /// `number` is handled by the loop, and was by `before`. Of a signal that it handled already: gives `before` back.
    pub fn keep_signal(&self, number: i32, before: Py<PyAny>) -> Option<Py<PyAny>> {
        let mut signals = self.signals.lock();
        if signals.iter().any(|(kept, _)| *kept == number) {
            return Some(before);
        }
        signals.push((number, before));
        None
    }

    /// The signals that it handles.
    pub fn kept_signals(&self) -> Vec<i32> {
        self.signals.lock().iter().map(|(kept, _)| *kept).collect()
    }

    /// What handled the signal before.
    pub fn kept_signal(&self, py: Python<'_>, number: i32) -> Option<Py<PyAny>> {
        let signals = self.signals.lock();
        let (_, before) = signals.iter().find(|(kept, _)| *kept == number)?;
        Some(before.clone_ref(py))
    }

    /// The loop handles it no more; the caller drops what handled it before.
    pub fn drop_signal(&self, number: i32) -> Option<Py<PyAny>> {
        let mut signals = self.signals.lock();
        let place = signals.iter().position(|(kept, _)| *kept == number)?;
        Some(signals.swap_remove(place).1)
    }
}
