//! Either kind of session, as the machine uses it. No borrow of its state lasts over a call of Python's.

use crate::aio::state::State;
use crate::aio::tls::backlog::Piece;
use crate::aio::tls::openssl::OpenSsl;
use crate::aio::tls::outcome::{Filled, Read, Received, Sealed, Stopped, Written};
use crate::aio::tls::rustls::Rustls;
use pyo3::prelude::*;
use std::os::fd::BorrowedFd;

/// See the module's page.
pub(crate) enum Session {
    OpenSsl(OpenSsl),
    Rustls(Box<Rustls>),
}

/// Does the same with either.
macro_rules! each {
    ($session:expr, $one:ident => $body:expr) => {
        match $session {
            Session::OpenSsl($one) => $body,
            Session::Rustls($one) => $body,
        }
    };
}

impl Session {
    /// One system call. `opens`: what has come may be opened at once.
    pub(crate) fn receive<'py>(
        &self,
        py: Python<'py>,
        socket: &BorrowedFd<'_>,
        state: &State,
        opens: bool,
    ) -> Result<Received<'py>, Stopped> {
        match self {
            Self::OpenSsl(one) => one.receive(py, socket, state),
            Self::Rustls(one) => one.receive(py, socket, state, opens),
        }
    }

    /// These were received.
    pub(crate) fn feed(&self, py: Python<'_>, bytes: &[u8]) -> PyResult<()> {
        each!(self, one => one.feed(py, bytes))
    }

    /// Goes on with the handshake. False: more must be received.
    pub(crate) fn handshake(&self, py: Python<'_>) -> PyResult<bool> {
        each!(self, one => one.handshake(py))
    }

    /// All that has come.
    pub(crate) fn read<'py>(&self, py: Python<'py>) -> Read<'py> {
        each!(self, one => one.read(py))
    }

    /// As much as fits of what has come.
    pub(crate) fn read_into(
        &self,
        py: Python<'_>,
        buffer: &Bound<'_, PyAny>,
        size: usize,
    ) -> PyResult<Filled> {
        each!(self, one => one.read_into(py, buffer, size))
    }

    /// Bytes that have come and were not looked at.
    pub(crate) fn unread(&self, py: Python<'_>) -> PyResult<usize> {
        each!(self, one => one.unread(py))
    }

    /// Seals what is to be sent.
    pub(crate) fn write(&self, py: Python<'_>, piece: &Piece) -> PyResult<Written> {
        each!(self, one => one.write(py, piece))
    }

    /// Bytes that are sealed and not taken.
    pub(crate) fn unsent(&self, py: Python<'_>) -> PyResult<usize> {
        each!(self, one => one.unsent(py))
    }

    /// Takes what is sealed; None: nothing.
    pub(crate) fn take_sealed<'py>(&self, py: Python<'py>) -> PyResult<Option<Sealed<'py>>> {
        each!(self, one => one.take_sealed(py))
    }

    /// Memory of what was taken and sent.
    pub(crate) fn give_back(&self, py: Python<'_>, sealed: Sealed<'_>) {
        if let (Self::Rustls(one), Sealed::Bytes(bytes)) = (self, sealed) {
            one.give_back(py, bytes);
        }
    }

    /// Seals the end, once. False: that of the peer is awaited.
    pub(crate) fn shut_down(&self, py: Python<'_>) -> PyResult<bool> {
        each!(self, one => one.shut_down(py))
    }

    /// Why an end of the stream below is none of the session's; None: it may be one.
    pub(crate) fn truncated(&self, py: Python<'_>) -> Option<PyErr> {
        match self {
            Self::OpenSsl(_) => None,
            Self::Rustls(one) => one.truncated(py),
        }
    }

    /// The stream below has ended in the handshake.
    pub(crate) fn cut_short(&self, py: Python<'_>) -> PyErr {
        each!(self, one => one.cut_short(py))
    }

    /// The connection is lost: its objects, to be dropped.
    pub(crate) fn take(&self, py: Python<'_>) -> impl Sized + use<> {
        match self {
            Self::OpenSsl(one) => one.take(py),
            Self::Rustls(_) => None,
        }
    }

    pub(crate) fn visit(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        match self {
            Self::OpenSsl(one) => one.visit(visit),
            Self::Rustls(_) => Ok(()),
        }
    }
}
