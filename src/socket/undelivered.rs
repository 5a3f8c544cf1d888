//! What came while the app did not read, in order.

use crate::io::failure::Failure;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::collections::{VecDeque, vec_deque};

/// One of them.
#[derive(Debug)]
pub enum Undelivered {
    /// Received bytes.
    Data(Py<PyBytes>),
    /// End of stream.
    Eof,
    /// The connection failed.
    Failed(Box<Failure>),
}

/// All of a socket. Few have any: the others pay for a pointer only.
#[derive(Debug, Default)]
#[expect(
    clippy::box_collection,
    reason = "an empty VecDeque takes 24 bytes more of each socket"
)]
pub(crate) struct Held(Option<Box<VecDeque<Undelivered>>>);

impl Held {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|held| held.is_empty())
    }

    /// Bytes of data.
    pub(crate) fn size(&self, py: Python<'_>) -> usize {
        let data = |one: &Undelivered| match one {
            Undelivered::Data(data) => data.as_bytes(py).len(),
            Undelivered::Eof | Undelivered::Failed(_) => 0,
        };
        self.0.iter().flat_map(|held| held.iter()).map(data).sum()
    }

    pub(crate) fn push_back(&mut self, one: Undelivered) {
        self.0.get_or_insert_default().push_back(one);
    }

    pub(crate) fn pop_front(&mut self) -> Option<Undelivered> {
        self.0.as_mut()?.pop_front()
    }
}

impl Extend<Undelivered> for Held {
    fn extend<I: IntoIterator<Item = Undelivered>>(&mut self, more: I) {
        more.into_iter().for_each(|one| self.push_back(one));
    }
}

impl IntoIterator for Held {
    type Item = Undelivered;
    type IntoIter = vec_deque::IntoIter<Undelivered>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.map(|held| *held).unwrap_or_default().into_iter()
    }
}
