//! What a session of either kind answers.

use crate::io::failure::Failure;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::io;

/// Plain bytes that have come, and why no more can be expected.
pub(crate) struct Read<'py> {
    pub(crate) data: Option<Bound<'py, PyBytes>>,
    pub(crate) end: Option<End>,
}

impl<'py> Read<'py> {
    /// What was made of the bytes, if any have come; then `end`.
    pub(crate) fn of(data: PyResult<Option<Bound<'py, PyBytes>>>, end: Option<End>) -> Self {
        match data {
            Ok(data) => Self { data, end },
            Err(error) => Self::failed(error),
        }
    }

    pub(crate) fn failed(error: PyErr) -> Self {
        Self {
            data: None,
            end: Some(End::Failed(error)),
        }
    }
}

/// Bytes that were put into a buffer of the protocol's.
pub(crate) struct Filled {
    pub(crate) count: usize,
    /// There may be more than it holds.
    pub(crate) more: bool,
    pub(crate) end: Option<End>,
}

/// Nothing comes any more.
pub(crate) enum End {
    /// The peer has said so.
    Closed,
    Failed(PyErr),
}

/// What one system call has received.
pub(crate) struct Received<'py> {
    /// 0: the peer has ended.
    pub(crate) count: usize,
    /// What it held, where that was looked at already.
    pub(crate) read: Option<Read<'py>>,
}

/// Why nothing was received.
pub(crate) enum Stopped {
    Failed(Failure),
    Raised(PyErr),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Failed(Failure::Os(error))
    }
}

impl From<PyErr> for Stopped {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

/// How far sealing a piece came.
pub(crate) enum Written {
    All,
    /// So many bytes; then the session wants to receive first.
    Some(usize),
}

/// Sealed bytes that are to be sent.
pub(crate) enum Sealed<'py> {
    Object(Bound<'py, PyBytes>),
    Bytes(Vec<u8>),
}

impl Sealed<'_> {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Object(object) => object.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}
