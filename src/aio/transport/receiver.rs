//! What a protocol is for the transport that calls it.

use crate::aio::stream::protocol::StreamProtocol;
use crate::aio::tls::object::TlsTransport;
use crate::aio::transport::object::Receiver;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// How `protocol` takes what comes.
pub(crate) fn receiver_of(protocol: &Bound<'_, PyAny>) -> PyResult<Receiver> {
    static BUFFERED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if protocol.is_instance_of::<StreamProtocol>() {
        return Ok(Receiver::Stream);
    }
    if protocol.is_instance_of::<TlsTransport>() {
        return Ok(Receiver::Tls);
    }
    let class = BUFFERED.import(protocol.py(), "asyncio", "BufferedProtocol")?;
    Ok(if protocol.is_instance(class)? {
        Receiver::Buffer
    } else {
        Receiver::Objects
    })
}
