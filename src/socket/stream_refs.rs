//! Which streams there are over a socket, as part of its state; see `streams.rs`.

use pyo3::prelude::*;
use pyo3::types::{PyWeakrefMethods, PyWeakrefReference};

/// Part of a socket's state.
#[derive(Default)]
pub(crate) struct Streams {
    pub(crate) own: Option<Own>,
    /// Those of the app's, in order; some may be gone.
    pub(crate) others: Vec<Py<PyWeakrefReference>>,
}

/// The stream that a socket was made with.
pub(crate) struct Own {
    pub(crate) buffer: Py<PyAny>,
    /// Kept alive, or else where it is if the app keeps it.
    pub(crate) kept: Option<Py<PyAny>>,
    pub(crate) stream: Py<PyWeakrefReference>,
}

impl Streams {
    /// The socket's own stream is the app's alone from now on. The result is to be dropped outside of the lock.
    pub(crate) fn release_own(&mut self) -> Option<Py<PyAny>> {
        self.own.as_mut()?.kept.take()
    }

    /// For Python's garbage collector.
    pub(crate) fn visit(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        match &self.own {
            Some(own) => {
                visit.call(&own.buffer)?;
                visit.call(&own.kept)
            }
            None => Ok(()),
        }
    }

    /// Those that there are, its own first.
    pub(crate) fn live<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyAny>> {
        let own = self.own.as_ref().map(|own| &own.stream);
        let all = own.into_iter().chain(&self.others);
        all.filter_map(|stream| stream.bind(py).upgrade()).collect()
    }

    /// Takes out the references to those that are gone.
    pub(crate) fn sort_out(&mut self, py: Python<'_>) -> Vec<Py<PyWeakrefReference>> {
        let others = std::mem::take(&mut self.others).into_iter();
        let (live, gone) = others.partition(|stream| stream.bind(py).upgrade().is_some());
        self.others = live;
        gone
    }
}
