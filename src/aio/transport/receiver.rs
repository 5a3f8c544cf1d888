//! What a protocol is for the transport that calls it.

use crate::aio::stream::protocol::StreamProtocol;
use crate::aio::tls::object::TlsTransport;
use crate::aio::transport::asyncio_streams;
use crate::aio::transport::object::{Receiver, StreamTransport};
use crate::aio::watched::Watched;
use crate::boundary::call::Method;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;

/// How `protocol` takes what comes.
pub(crate) fn receiver_of(protocol: &Bound<'_, PyAny>) -> PyResult<Receiver> {
    static BUFFERED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if protocol.is_instance_of::<StreamProtocol>() {
        return Ok(Receiver::Stream);
    }
    if protocol.is_instance_of::<TlsTransport>() {
        return Ok(Receiver::Tls);
    }
    if asyncio_streams::is_theirs(protocol)? {
        return Ok(Receiver::AsyncioStream);
    }
    let class = BUFFERED.import(protocol.py(), "asyncio", "BufferedProtocol")?;
    Ok(if protocol.is_instance(class)? {
        Receiver::Buffer
    } else {
        Receiver::Objects
    })
}

/// TLS that is the protocol of `transport`, and may have to seal what was written.
pub(crate) fn tls_over<'py>(
    transport: &StreamTransport,
    py: Python<'py>,
) -> Option<Bound<'py, TlsTransport>> {
    let is_tls = transport
        .flow
        .with(py, |flow| flow.receiver == Receiver::Tls);
    let protocol = transport.protocol(py).filter(|_| is_tls)?;
    protocol.cast_into().ok()
}

/// What has come, as it takes it. Not for those that receive by themselves.
pub(crate) fn deliver<'py>(
    protocol: &Bound<'py, PyAny>,
    receiver: Receiver,
    data: Bound<'py, PyBytes>,
) -> PyResult<()> {
    match receiver {
        Receiver::Stream => return protocol.cast::<StreamProtocol>()?.get().feed(&data),
        Receiver::AsyncioStream if asyncio_streams::feed(protocol, &data)? => return Ok(()),
        _ => {}
    }
    protocol
        .method(intern!(protocol.py(), "data_received"), (data,))
        .map(drop)
}
