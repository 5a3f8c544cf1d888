//! What ends when a callback of it has raised.

use pyo3::prelude::*;

/// A poller, an idler.
pub trait Ends {
    /// Its `event_cb`.
    fn event_cb(&self, py: Python<'_>) -> Option<Py<PyAny>>;

    /// Nothing of it is called any more. Again: nothing. With the interpreter's lock.
    fn end(&self);
}
