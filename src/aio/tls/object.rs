//! The class and what it holds.

use crate::aio::gil::Gil;
use crate::aio::object::NativeLoop;
use crate::aio::tls::backlog::Backlog;
use crate::aio::tls::session::Session;
use crate::aio::tls::session_lock::SessionLock;
use crate::aio::transport::object::Receiver;
use crate::boundary::call::Method;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// asyncio's own bounds, in bytes: of what is to be sealed, and of what has come and was not opened.
pub(crate) const HIGH_WATER_OUT: usize = 512 * 1024;
pub(crate) const HIGH_WATER_IN: usize = 256 * 1024;

/// What a protocol sees; `asynctcp.aio._tls.TlsTransport` inherits from it. For the transport below it is the protocol.
#[pyclass(frozen, subclass, weakref, module = "asynctcp._core")]
pub struct TlsTransport {
    pub(crate) session: Session,
    /// Whoever has the session do something holds this, but for no call of the protocol's.
    pub(crate) session_lock: SessionLock,
    pub(crate) objects: Gil<Objects>,
    pub(crate) flow: Gil<Flow>,
    /// Seconds; None: none.
    pub(crate) handshake_limit: Option<f64>,
    pub(crate) shutdown_limit: f64,
}

/// Python objects. Whoever takes one out drops it outside of `Gil::with`.
pub(crate) struct Objects {
    pub(crate) event_loop: Option<Py<NativeLoop>>,
    /// None once the connection is lost.
    pub(crate) protocol: Option<Py<PyAny>>,
    /// The transport below; None before it is there, and once it is lost.
    pub(crate) below: Option<Py<PyAny>>,
    /// Who waits for the handshake.
    pub(crate) waiter: Option<Py<PyAny>>,
    pub(crate) handshake_timer: Option<Py<PyAny>>,
    pub(crate) shutdown_timer: Option<Py<PyAny>>,
    pub(crate) extra: Option<Py<PyDict>>,
}

/// asyncio's `SSLProtocolState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Unwrapped,
    Handshake,
    Wrapped,
    /// What waits is sealed, and what has come is delivered.
    Flushing,
    /// The end is sealed, that of the peer is awaited.
    Shutdown,
}

/// asyncio's `AppProtocolState`: what the protocol was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    Nothing,
    Made,
    End,
    Lost,
}

/// What it is doing.
pub(crate) struct Flow {
    pub(crate) phase: Phase,
    pub(crate) told: Told,
    pub(crate) backlog: Backlog,
    pub(crate) receiver: Receiver,
    /// `close` or `abort` was called, or the connection is lost.
    pub(crate) is_closed: bool,
    /// Writes after the end, for asyncio's warning.
    pub(crate) lost: u32,
    pub(crate) app_is_paused: bool,
    /// The protocol was told to pause writing.
    pub(crate) protocol_is_paused: bool,
    /// The transport below was told to pause reading, and has told to pause writing.
    pub(crate) reading_is_paused: bool,
    pub(crate) writing_is_paused: bool,
    /// The stream below has ended.
    pub(crate) has_ended: bool,
    /// It is in the list of those that the turn flushes.
    pub(crate) is_dirty: bool,
    pub(crate) out_high: usize,
    pub(crate) out_low: usize,
    pub(crate) in_high: usize,
    pub(crate) in_low: usize,
}

impl TlsTransport {
    pub(crate) fn event_loop<'py>(&self, py: Python<'py>) -> Option<Bound<'py, NativeLoop>> {
        self.objects.held(py, |objects| &objects.event_loop)
    }

    pub(crate) fn protocol<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.objects.held(py, |objects| &objects.protocol)
    }

    pub(crate) fn below<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.objects.held(py, |objects| &objects.below)
    }

    pub(crate) fn phase(&self, py: Python<'_>) -> Phase {
        self.flow.with(py, |flow| flow.phase)
    }

    pub(crate) fn set_phase(&self, py: Python<'_>, phase: Phase) {
        self.flow.with(py, |flow| flow.phase = phase);
    }

    /// Whether it is closing or closed.
    pub(crate) fn closes(&self, py: Python<'_>) -> PyResult<bool> {
        if self.flow.with(py, |flow| flow.is_closed) {
            return Ok(true);
        }
        match self.below(py) {
            Some(below) => below.method(intern!(py, "is_closing"), ())?.is_truthy(),
            None => Ok(false),
        }
    }

    /// Whether the loop is in debug mode.
    pub(crate) fn is_debug(&self, py: Python<'_>) -> bool {
        self.event_loop(py)
            .is_some_and(|event_loop| event_loop.get().state.is_debug())
    }
}

impl Flow {
    /// Of a new connection. `is_made`: the protocol knows it already.
    pub(crate) fn new(receiver: Receiver, is_made: bool) -> Self {
        Self {
            phase: Phase::Unwrapped,
            told: if is_made { Told::Made } else { Told::Nothing },
            backlog: Backlog::default(),
            receiver,
            is_closed: false,
            lost: 0,
            app_is_paused: false,
            protocol_is_paused: false,
            reading_is_paused: false,
            writing_is_paused: false,
            has_ended: false,
            is_dirty: false,
            out_high: HIGH_WATER_OUT,
            out_low: HIGH_WATER_OUT / 4,
            in_high: HIGH_WATER_IN,
            in_low: HIGH_WATER_IN / 4,
        }
    }

    /// What was written is sealed.
    pub(crate) fn seals(&self) -> bool {
        matches!(self.phase, Phase::Wrapped | Phase::Flushing)
    }

    /// There is something to seal.
    pub(crate) fn has_unsealed(&self) -> bool {
        self.seals() && self.backlog.len() > 0
    }

    /// The stream below has ended, and the protocol is told so when it reads again.
    pub(crate) fn keeps_end(&self) -> bool {
        self.phase == Phase::Flushing && self.has_ended && self.app_is_paused && !self.is_closed
    }

    /// Nothing that is written goes anywhere any more, or yet.
    pub(crate) fn drops_writes(&self) -> bool {
        !matches!(self.phase, Phase::Handshake | Phase::Wrapped)
    }
}
