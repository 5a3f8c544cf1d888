//! What was agreed on by TLS, as Python has it.

use crate::io::tls::certificate;
use crate::io::tls::info::Info;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;

/// A `TlsInfo`.
pub(crate) fn info<'py>(py: Python<'py>, info: &Info) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = CLASS.import(py, "asynctcp._tls", "TlsInfo")?;
    let chain = info.chain.iter().map(|der| PyBytes::new(py, der));
    let chain: Vec<_> = chain.collect();
    let alpn = info.alpn.as_deref().map(String::from_utf8_lossy);
    class.call1((
        info.version(),
        info.cipher(),
        info.group(),
        alpn,
        info.server_name.as_deref(),
        chain.first(),
        &chain,
        info.resumed,
        info.chain
            .first()
            .map(|own| certificate::names(own))
            .unwrap_or_default(),
    ))
}
