//! What Python calls: the program above, and the transport below where that is none of ours.

use crate::aio::data::lines_of;
use crate::aio::gil::Gil;
use crate::aio::object::NativeLoop;
use crate::aio::stream::reader::StreamReader;
use crate::aio::tls::machine;
use crate::aio::tls::object::{Flow, HIGH_WATER_IN, HIGH_WATER_OUT, Objects, Phase, TlsTransport};
use crate::aio::tls::openssl::OpenSsl;
use crate::aio::tls::outgoing;
use crate::aio::tls::rustls::{self, Rustls};
use crate::aio::tls::session::Session;
use crate::aio::tls::session_lock::SessionLock;
use crate::aio::tls::told::control_writing;
use crate::aio::transport::limits;
use crate::aio::transport::receiver::receiver_of;
use crate::boundary::call::Method;
use crate::boundary::memory;
use crate::boundary::tls_context::{TlsContext, name_of};
use crate::boundary::tls_info;
use crate::io::tls::session;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

#[pymethods]
impl TlsTransport {
    /// `engine`: an `SSLObject` with its two BIOs, or a `TlsContext` with the server's name for a client.
    #[new]
    #[pyo3(signature = (event_loop, protocol, waiter, engine, is_made, limits, extra))]
    fn new(
        event_loop: &Bound<'_, NativeLoop>,
        protocol: &Bound<'_, PyAny>,
        waiter: Option<Py<PyAny>>,
        engine: &Bound<'_, PyTuple>,
        is_made: bool,
        limits: (Option<f64>, f64),
        extra: &Bound<'_, PyDict>,
    ) -> PyResult<Self> {
        Ok(Self {
            session: session_of(engine)?,
            session_lock: SessionLock::default(),
            flow: Gil::new(Flow::new(receiver_of(protocol)?, is_made)),
            objects: Gil::new(Objects {
                event_loop: Some(event_loop.clone().unbind()),
                protocol: Some(protocol.clone().unbind()),
                below: None,
                waiter,
                handshake_timer: None,
                shutdown_timer: None,
                extra: Some(extra.clone().unbind()),
            }),
            handshake_limit: limits.0,
            shutdown_limit: limits.1,
        })
    }

    /// The transport below is there: the handshake begins.
    fn connection_made(slf: &Bound<'_, Self>, transport: &Bound<'_, PyAny>) -> PyResult<()> {
        machine::begin(slf, transport)
    }

    /// The transport below has received them.
    fn data_received(slf: &Bound<'_, Self>, data: &Bound<'_, PyBytes>) -> PyResult<()> {
        slf.get().session.feed(slf.py(), data.as_bytes())?;
        machine::step(slf)
    }

    /// They came before the transport below was this one's.
    fn _feed(&self, data: &Bound<'_, PyBytes>) -> PyResult<()> {
        self.session.feed(data.py(), data.as_bytes())
    }

    /// The same of what a stream has not read.
    fn _feed_unread(&self, reader: &Bound<'_, StreamReader>) -> PyResult<()> {
        let py = reader.py();
        self.session.feed(py, &reader.get().take_unread(py)?)
    }

    /// The transport below has received the end.
    fn eof_received(slf: &Bound<'_, Self>) -> PyResult<bool> {
        machine::ended(slf)
    }

    /// The transport below is lost.
    fn connection_lost(slf: &Bound<'_, Self>, exc: &Bound<'_, PyAny>) -> PyResult<()> {
        machine::lost(slf, exc)
    }

    /// The transport below has enough.
    fn pause_writing(&self, py: Python<'_>) {
        self.flow.with(py, |flow| flow.writing_is_paused = true);
    }

    /// The transport below takes more.
    fn resume_writing(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        slf.get()
            .flow
            .with(py, |flow| flow.writing_is_paused = false);
        outgoing::process(slf)
    }

    /// What has come is looked at again.
    fn _step(slf: &Bound<'_, Self>) -> PyResult<()> {
        match slf.get().phase(slf.py()) {
            Phase::Handshake => Ok(()),
            _ => machine::step(slf),
        }
    }

    /// Send `data` (bytes, bytearray or memoryview). It leaves when the running callback returns.
    fn write(slf: &Bound<'_, Self>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        outgoing::write(slf, data)
    }

    /// Send each of them.
    fn writelines(slf: &Bound<'_, Self>, list_of_data: &Bound<'_, PyAny>) -> PyResult<()> {
        let lines = lines_of(list_of_data)?;
        lines.iter().try_for_each(|line| outgoing::write(slf, line))
    }

    /// False: TLS has no end of one side as asyncio has it.
    fn can_write_eof(&self) -> bool {
        false
    }

    /// Close it when all is sent, with a close_notify.
    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        machine::close(slf)
    }

    /// Close it at once.
    fn abort(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::_force_close(slf, None)
    }

    #[pyo3(signature = (exc=None))]
    fn _force_close(slf: &Bound<'_, Self>, exc: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        slf.get().flow.with(slf.py(), |flow| flow.is_closed = true);
        machine::abort(slf, exc)
    }

    /// Something of it ends the transport below: what was written goes before.
    fn _send_before(slf: &Bound<'_, Self>) -> PyResult<()> {
        outgoing::send_before(slf)
    }

    /// Whether it is closing or closed.
    fn is_closing(&self, py: Python<'_>) -> PyResult<bool> {
        self.closes(py)
    }

    /// Whether what comes goes to the protocol.
    fn is_reading(&self, py: Python<'_>) -> bool {
        self.flow.with(py, |flow| !flow.app_is_paused)
    }

    /// Nothing goes to the protocol until `resume_reading()`.
    fn pause_reading(&self, py: Python<'_>) {
        self.flow.with(py, |flow| flow.app_is_paused = true);
    }

    /// What comes goes to the protocol again.
    fn resume_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, me) = (slf.py(), slf.get());
        let was_paused = me
            .flow
            .with(py, |flow| std::mem::replace(&mut flow.app_is_paused, false));
        match me.event_loop(py).filter(|_| was_paused) {
            Some(event_loop) => event_loop
                .method("call_soon", (slf.getattr("_step")?,))
                .map(drop),
            None => Ok(()),
        }
    }

    /// Bytes that wait to be sealed, or for the transport below.
    fn get_write_buffer_size(slf: &Bound<'_, Self>) -> PyResult<usize> {
        outgoing::flush(slf)?;
        let (py, me) = (slf.py(), slf.get());
        let unsent = me.session.unsent(py)?;
        Ok(unsent + me.flow.with(py, |flow| flow.backlog.len()))
    }

    /// The low and the high-water mark, in bytes.
    fn get_write_buffer_limits(&self, py: Python<'_>) -> (usize, usize) {
        self.flow.with(py, |flow| (flow.out_low, flow.out_high))
    }

    /// The protocol is told to pause writing at `high` bytes, and to go on at `low`.
    #[pyo3(signature = (high=None, low=None))]
    fn set_write_buffer_limits(
        slf: &Bound<'_, Self>,
        high: Option<&Bound<'_, PyAny>>,
        low: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let (py, me) = (slf.py(), slf.get());
        let (low, high) = limits::checked(py, high, low, HIGH_WATER_OUT)?;
        me.flow
            .with(py, |flow| (flow.out_low, flow.out_high) = (low, high));
        control_writing(slf, me.session.unsent(py)?)
    }

    /// Bytes that have come and were not looked at.
    fn get_read_buffer_size(&self, py: Python<'_>) -> PyResult<usize> {
        self.session.unread(py)
    }

    /// The low and the high-water mark, in bytes.
    fn get_read_buffer_limits(&self, py: Python<'_>) -> (usize, usize) {
        self.flow.with(py, |flow| (flow.in_low, flow.in_high))
    }

    /// While the protocol reads nothing, receiving pauses at `high` bytes and goes on at `low`.
    #[pyo3(signature = (high=None, low=None))]
    fn set_read_buffer_limits(
        &self,
        py: Python<'_>,
        high: Option<&Bound<'_, PyAny>>,
        low: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let (low, high) = limits::checked(py, high, low, HIGH_WATER_IN)?;
        self.flow
            .with(py, |flow| (flow.in_low, flow.in_high) = (low, high));
        Ok(())
    }

    /// From now on `protocol` is called.
    fn set_protocol(&self, protocol: &Bound<'_, PyAny>) -> PyResult<()> {
        let (py, receiver) = (protocol.py(), receiver_of(protocol)?);
        let new = protocol.clone().unbind();
        let old = self
            .objects
            .with(py, |objects| objects.protocol.replace(new));
        self.flow.with(py, |flow| flow.receiver = receiver);
        drop(old);
        Ok(())
    }

    /// The protocol.
    fn get_protocol<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.protocol(py)
    }

    #[getter]
    fn _app_protocol<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.protocol(py)
    }

    #[getter]
    fn _protocol_paused(&self, py: Python<'_>) -> bool {
        self.flow.with(py, |flow| flow.protocol_is_paused)
    }

    #[getter]
    fn _loop<'py>(&self, py: Python<'py>) -> Option<Bound<'py, NativeLoop>> {
        self.event_loop(py)
    }

    /// The transport below.
    #[getter]
    fn _transport<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.below(py)
    }

    #[getter]
    fn _extra<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyDict>> {
        self.objects.held(py, |objects| &objects.extra)
    }

    #[getter]
    fn _is_closed(&self, py: Python<'_>) -> bool {
        self.flow.with(py, |flow| flow.is_closed)
    }

    /// The `SSLObject`; None by a `TlsConfig`.
    #[getter]
    fn _sslobj<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        match &self.session {
            Session::OpenSsl(one) => one.object(py),
            Session::Rustls(_) => None,
        }
    }

    /// A `TlsInfo`; None before the handshake, and by an `ssl.SSLContext`.
    fn _info<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match &self.session {
            Session::OpenSsl(_) => Ok(None),
            Session::Rustls(one) => one
                .info(py)
                .map(|info| tls_info::info(py, &info))
                .transpose(),
        }
    }

    #[getter]
    fn _handshake_limit(&self) -> Option<f64> {
        self.handshake_limit
    }

    /// It waits to be sealed, and nothing has it sealed: tests of asyncio's fill the backlog so.
    #[pyo3(name = "_test__append_write_backlog")]
    fn append_to_backlog(&self, data: &Bound<'_, PyBytes>) -> PyResult<()> {
        let py = data.py();
        let pushed = self.flow.with(py, |flow| flow.backlog.push(py, data));
        pushed.map_err(memory::error)
    }

    /// asyncio's name of the state.
    #[getter]
    fn _phase(&self, py: Python<'_>) -> &'static str {
        match self.phase(py) {
            Phase::Unwrapped => "UNWRAPPED",
            Phase::Handshake => "DO_HANDSHAKE",
            Phase::Wrapped => "WRAPPED",
            Phase::Flushing => "FLUSHING",
            Phase::Shutdown => "SHUTDOWN",
        }
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        self.session.visit(&visit)?;
        let visited = self.objects.try_with(|objects| {
            visit.call(&objects.event_loop)?;
            visit.call(&objects.protocol)?;
            visit.call(&objects.below)?;
            visit.call(&objects.waiter)?;
            visit.call(&objects.handshake_timer)?;
            visit.call(&objects.shutdown_timer)?;
            visit.call(&objects.extra)
        });
        visited.unwrap_or(Ok(()))
    }

    fn __clear__(&self) {
        Python::attach(|py| {
            drop(self.session.take(py));
            drop(self.objects.with(py, |objects| {
                (
                    objects.event_loop.take(),
                    objects.protocol.take(),
                    objects.below.take(),
                    objects.waiter.take(),
                    objects.handshake_timer.take(),
                    objects.shutdown_timer.take(),
                    objects.extra.take(),
                )
            }));
        });
    }
}

fn session_of(engine: &Bound<'_, PyTuple>) -> PyResult<Session> {
    let py = engine.py();
    let first = engine.get_item(0)?;
    let Ok(context) = first.cast::<TlsContext>() else {
        let session = OpenSsl::new(&first, &engine.get_item(1)?, &engine.get_item(2)?)?;
        return Ok(Session::OpenSsl(session));
    };
    let context = context.get();
    let made = match (context.server(), context.client()) {
        (Some(server), _) => session::Session::server(&server),
        (None, Some(client)) => {
            let name = name_of(&engine.get_item(1)?.extract::<String>()?)?;
            session::Session::client(&client, name)
        }
        (None, None) => return Err(PyTypeError::new_err("neither a client's nor a server's")),
    };
    let made = made.map_err(|failure| rustls::error(py, &failure))?;
    Ok(Session::Rustls(Box::new(Rustls::new(made))))
}
