//! What `event_loop()` returns: a loop that begins and ends with a `with` block.

use crate::event_loop::closing;
use crate::event_loop::object::EventLoop;
use crate::event_loop::stages;
use crate::turn::policy::Policy;
use pyo3::prelude::*;

/// The context manager of `event_loop()`.
#[pyclass(frozen, module = "asynctcp")]
pub struct LoopBlock {
    event_loop: Py<EventLoop>,
}

#[pymethods]
impl LoopBlock {
    #[new]
    fn new(event_loop: Py<EventLoop>) -> Self {
        Self { event_loop }
    }

    /// Opens the loop.
    fn __enter__(&self, py: Python<'_>) -> PyResult<Py<EventLoop>> {
        stages::begin(self.event_loop.bind(py), Policy::ALONE)?;
        Ok(self.event_loop.clone_ref(py))
    }

    /// Runs the loop to its end, or closes everything if the block raised.
    fn __exit__(
        &self,
        kind: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let event_loop = self.event_loop.bind(kind.py());
        if kind.is_none() {
            stages::finish(event_loop, Ok(()))
        } else {
            closing::end(event_loop)
        }
    }
}

impl Drop for LoopBlock {
    fn drop(&mut self) {
        Python::attach(|py| {
            let event_loop = self.event_loop.bind(py);
            // A block that was entered and is forgotten.
            if event_loop.get().state.is_own_thread()
                && let Err(error) = closing::end(event_loop)
            {
                error.write_unraisable(py, Some(event_loop));
            }
        });
    }
}
