//! Why a socket ended, and the condition that was made of that.

use crate::boundary::condition::{self, Subject};
use crate::io::failure::Failure;
use pyo3::prelude::*;
use pyo3::types::{PyWeakrefMethods, PyWeakrefReference};
use std::sync::Arc;

/// Why a socket is closed, if not by the app.
pub enum Reason {
    /// End of stream.
    Eof,
    /// The connection or the attempt failed, or a timeout ended it.
    Failed(Arc<Failure>),
    /// A callback of it raised: the `TcpAppError`.
    AppError(Py<PyAny>),
    /// The loop ended.
    LoopEnd,
}

impl Reason {
    /// Another holder of it.
    pub fn clone_ref(&self, py: Python<'_>) -> Self {
        match self {
            Self::Eof => Self::Eof,
            Self::Failed(failure) => Self::Failed(failure.clone()),
            Self::AppError(error) => Self::AppError(error.clone_ref(py)),
            Self::LoopEnd => Self::LoopEnd,
        }
    }

    /// What is told of it.
    pub fn condition<'py>(&self, subject: &impl Subject<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::Eof => condition::info("TcpEof", subject),
            Self::Failed(failure) => condition::failure(subject, failure),
            Self::AppError(error) => Ok(error.bind(subject.object().py()).clone()),
            Self::LoopEnd => condition::loop_ended(subject.object().py()),
        }
    }
}

/// The end of one socket.
pub struct Ending {
    pub(crate) reason: Reason,
    /// What was made of the reason, as long as somebody has it. Weak, because it holds the socket: as a cycle the two
    /// would stay until Python's collector comes.
    pub(crate) shown: Option<Py<PyWeakrefReference>>,
}

impl Ending {
    /// That, while somebody has it.
    pub fn shown<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.shown.as_ref()?.bind(py).upgrade()
    }

    /// For Python's garbage collector.
    pub fn visit(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        if let Reason::AppError(error) = &self.reason {
            visit.call(error)?;
        }
        visit.call(&self.shown)
    }
}
