//! State that the interpreter's lock guards.

use pyo3::prelude::*;
use std::cell::RefCell;

/// A value that whoever has the interpreter's lock may use, one at a time.
///
/// A mutex would cost two atomic operations for each call that is made ready, a twentieth of it.
pub struct Gil<T>(RefCell<T>);

// SAFETY: `with` takes a `Python`, so only the thread that has the interpreter's lock gets at the cell and its flag, and that lock
// hands over between threads as any lock does. The module declares that it needs it (`gil_used`).
unsafe impl<T: Send> Sync for Gil<T> {}

impl<T> Gil<T> {
    /// Around `value`.
    pub const fn new(value: T) -> Self {
        Self(RefCell::new(value))
    }

    /// The value, for as long as `f` runs, which touches no Python object: dropping or making one may run code that comes here
    /// again (that would panic).
    #[inline(always)]
    pub fn with<R>(&self, _: Python<'_>, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.0.borrow_mut())
    }

    /// One of the objects in it.
    pub fn held<'py, U>(
        &self,
        py: Python<'py>,
        pick: impl FnOnce(&T) -> &Option<Py<U>>,
    ) -> Option<Bound<'py, U>> {
        let object = self.with(py, |value| {
            pick(value).as_ref().map(|object| object.clone_ref(py))
        });
        object.map(|object| object.into_bound(py))
    }

    /// The same as `with` for the collector, which may come at any time; None: the value is in use.
    pub fn try_with<R>(&self, f: impl FnOnce(&T) -> R) -> Option<R> {
        self.0.try_borrow().ok().map(|value| f(&value))
    }
}

impl<T: Default> Default for Gil<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}
