//! Bytes that were received and not read yet.

use crate::boundary::{memory, unfilled};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// An empty buffer keeps no more memory than so, in bytes.
const KEPT: usize = 16 * 1024;

/// A queue of bytes.
#[derive(Default)]
pub(crate) struct Buffer {
    /// An object that came while nothing was here: who reads all of it gets it as it is.
    whole: Option<Py<PyBytes>>,
    own: Vec<u8>,
    /// Bytes of either that were read.
    gone: usize,
}

impl Buffer {
    /// What is there.
    pub(crate) fn bytes<'a>(&'a self, py: Python<'a>) -> &'a [u8] {
        let all = self
            .whole
            .as_ref()
            .map_or(&self.own[..], |whole| whole.as_bytes(py));
        &all[self.gone..]
    }

    /// Adds an object's bytes.
    pub(crate) fn push(&mut self, object: &Bound<'_, PyBytes>) -> PyResult<()> {
        let py = object.py();
        if self.bytes(py).is_empty() {
            self.clear();
            self.whole = Some(object.clone().unbind());
            return Ok(());
        }
        self.own_all(py)?;
        self.extend(object.as_bytes())
    }

    /// The first `count` bytes, which are there, as an object.
    pub(crate) fn take<'py>(
        &mut self,
        py: Python<'py>,
        count: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = self.bytes(py);
        if bytes.len() > count || self.gone > 0 || self.whole.is_none() {
            let taken = unfilled::copy(py, &bytes[..count])?;
            self.skip(py, count);
            return Ok(taken);
        }
        let whole = self.whole.take();
        whole.map_or_else(|| unfilled::copy(py, &[]), |whole| Ok(whole.into_bound(py)))
    }

    /// The first `count` bytes, which are there, are read.
    pub(crate) fn skip(&mut self, py: Python<'_>, count: usize) {
        self.gone += count;
        if self.bytes(py).is_empty() {
            self.clear();
        }
    }

    /// All is read.
    pub(crate) fn clear(&mut self) {
        self.whole = None;
        self.gone = 0;
        self.own.clear();
        if self.own.capacity() > KEPT {
            self.own = Vec::new();
        }
    }

    /// The bytes are in memory of its own, from its beginning if that saves as much as it costs.
    fn own_all(&mut self, py: Python<'_>) -> PyResult<()> {
        if let Some(whole) = self.whole.take() {
            let gone = std::mem::take(&mut self.gone);
            return self.extend(&whole.as_bytes(py)[gone..]);
        }
        if self.gone > self.own.len() / 2 {
            self.own.drain(..self.gone);
            self.gone = 0;
        }
        Ok(())
    }

    fn extend(&mut self, bytes: &[u8]) -> PyResult<()> {
        memory::extend(&mut self.own, bytes)
    }
}
