//! What came of several steps that are all done: the last exception, the ones before as its context.

use pyo3::prelude::*;

/// Empty: all went well.
#[derive(Default)]
pub struct Outcome(Option<PyErr>);

impl From<PyResult<()>> for Outcome {
    fn from(result: PyResult<()>) -> Self {
        Self(result.err())
    }
}

impl Outcome {
    /// One step more.
    pub fn note(&mut self, py: Python<'_>, step: PyResult<()>) {
        let Err(error) = step else {
            return;
        };
        if let Some(before) = self.0.take() {
            // As an exception in a `finally` block; unless it knows of one already.
            if error.context(py).is_none() && !error.value(py).is(before.value(py)) {
                error.set_context(py, Some(before));
            }
        }
        self.0 = Some(error);
    }

    /// Of all.
    pub fn result(self) -> PyResult<()> {
        self.0.map_or(Ok(()), Err)
    }
}
