//! What runs when nothing else is to be done.

use crate::io::sync::Mutex;
use pyo3::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Those of one loop, in the order in which they were made.
#[derive(Default)]
pub struct Idlers {
    all: Mutex<Vec<Py<PyAny>>>,
    /// How many. The interpreter's lock keeps the two in step.
    count: AtomicUsize,
}

impl Idlers {
    /// One more.
    pub fn add(&self, idler: Py<PyAny>) {
        let mut all = self.all.lock();
        all.push(idler);
        self.count.store(all.len(), Ordering::Relaxed);
    }

    /// Takes one out, if it is there; the caller drops it.
    pub fn remove(&self, idler: &Bound<'_, PyAny>) -> Option<Py<PyAny>> {
        let mut all = self.all.lock();
        let at = all.iter().position(|one| one.is(idler))?;
        let removed = all.remove(at);
        self.count.store(all.len(), Ordering::Relaxed);
        Some(removed)
    }

    /// How many there are.
    #[inline]
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// All that there are now.
    pub fn all(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        let all = self.all.lock();
        all.iter().map(|idler| idler.clone_ref(py)).collect()
    }

    /// All, when the loop ends.
    pub fn take_all(&self) -> Vec<Py<PyAny>> {
        let mut all = self.all.lock();
        self.count.store(0, Ordering::Relaxed);
        std::mem::take(&mut *all)
    }

    /// For Python's garbage collector: no lock is waited for.
    pub fn visit(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        match self.all.try_lock() {
            Some(all) => all.iter().try_for_each(|idler| visit.call(idler)),
            None => Ok(()),
        }
    }
}
