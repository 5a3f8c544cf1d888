//! The sending end.

use crate::aio::gil::Gil;
use crate::aio::stream::draining;
use crate::aio::stream::protocol::StreamProtocol;
use crate::aio::stream::reader::StreamReader;
use crate::aio::tls::object::TlsTransport;
use crate::aio::tls::outgoing;
use crate::aio::transport::object::StreamTransport;
use crate::aio::transport::write;
use crate::boundary::call::Method;
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;

/// A stream that is written to; `asynctcp.aio` inherits from it for what is done once a connection.
#[pyclass(frozen, subclass, weakref, module = "asynctcp._core")]
pub struct StreamWriter {
    protocol: Py<StreamProtocol>,
    reader: Option<Py<StreamReader>>,
    transport: Gil<Option<Py<PyAny>>>,
}

impl StreamWriter {
    /// Calls a method of the transport's.
    fn ask<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        self.transport(py)?.method(name, ())
    }

    pub(crate) fn protocol(&self) -> &StreamProtocol {
        self.protocol.get()
    }

    /// What has gone wrong with receiving, which `drain()` raises.
    pub(crate) fn error<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.reader
            .as_ref()
            .and_then(|reader| reader.get().error(py))
    }

    pub(crate) fn closes(&self, py: Python<'_>) -> PyResult<bool> {
        let transport = self.transport(py)?;
        match transport.cast::<StreamTransport>() {
            Ok(native) => Ok(native.get().flow.with(py, |flow| flow.is_closing)),
            Err(_) => match transport.cast::<TlsTransport>() {
                Ok(secured) => secured.get().closes(py),
                Err(_) => transport.method(intern!(py, "is_closing"), ())?.is_truthy(),
            },
        }
    }

    pub(crate) fn visit(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.protocol)?;
        visit.call(&self.reader)?;
        self.transport
            .try_with(|transport| visit.call(transport))
            .unwrap_or(Ok(()))
    }
}

#[pymethods]
impl StreamWriter {
    #[new]
    #[pyo3(signature = (transport, protocol, reader, r#loop))]
    fn new(
        transport: Py<PyAny>,
        protocol: Py<StreamProtocol>,
        reader: Option<Py<StreamReader>>,
        r#loop: &Bound<'_, PyAny>,
    ) -> Self {
        // The protocol has the loop; asyncio's writers are made with it, too.
        let _ = r#loop;
        Self {
            protocol,
            reader,
            transport: Gil::new(Some(transport)),
        }
    }

    /// The transport.
    #[getter]
    fn transport<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.transport
            .held(py, |transport| transport)
            .ok_or_else(|| PyRuntimeError::new_err("the writer was collected"))
    }

    #[getter]
    fn _protocol(&self, py: Python<'_>) -> Py<StreamProtocol> {
        self.protocol.clone_ref(py)
    }

    #[getter]
    fn _reader(&self, py: Python<'_>) -> Option<Py<StreamReader>> {
        self.reader.as_ref().map(|reader| reader.clone_ref(py))
    }

    /// From now on it writes to another one.
    fn _set_transport(&self, transport: Py<PyAny>, py: Python<'_>) {
        drop(self.transport.with(py, |place| place.replace(transport)));
    }

    /// Send `data` (bytes, bytearray or memoryview). It leaves when the running task waits for something.
    fn write(&self, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = data.py();
        let transport = self.transport(py)?;
        match transport.cast::<StreamTransport>() {
            Ok(native) => write::write(native, data),
            Err(_) => match transport.cast::<TlsTransport>() {
                Ok(secured) => outgoing::write(secured, data),
                Err(_) => transport.method(intern!(py, "write"), (data,)).map(drop),
            },
        }
    }

    /// Send each of them.
    fn writelines(&self, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = data.py();
        self.transport(py)?
            .method(intern!(py, "writelines"), (data,))
            .map(drop)
    }

    /// Wait until little enough waits to be sent: at once, mostly.
    fn drain<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let (py, me) = (slf.py(), slf.get());
        let nothing = me.protocol().takes_more(py) && me.error(py).is_none() && !me.closes(py)?;
        if nothing {
            return draining::nothing(py);
        }
        draining::make(py, &me.protocol, me.reader.as_ref(), me.closes(py)?)
    }

    /// End the sending side when all is sent.
    fn write_eof(&self, py: Python<'_>) -> PyResult<()> {
        self.ask(py, "write_eof").map(drop)
    }

    /// Whether the sending side can end alone: not over TLS.
    fn can_write_eof(&self, py: Python<'_>) -> PyResult<bool> {
        self.ask(py, "can_write_eof")?.is_truthy()
    }

    /// Close the connection when all is sent.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.ask(py, "close").map(drop)
    }

    /// Whether it is closing or closed.
    fn is_closing(&self, py: Python<'_>) -> PyResult<bool> {
        self.closes(py)
    }

    /// Bytes that wait to be sent.
    #[getter]
    fn write_buffer_size(&self, py: Python<'_>) -> PyResult<usize> {
        self.ask(py, "get_write_buffer_size")?.extract()
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        self.visit(&visit)
    }

    fn __clear__(&self) {
        Python::attach(|py| drop(self.transport.with(py, Option::take)));
    }
}
