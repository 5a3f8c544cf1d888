//! What a PROXY header says, as Python has it.

use crate::boundary::address::address_object;
use crate::io::proxy::header::{Header, Version};
use crate::io::proxy::tlv;
use crate::io::sys::address::Address;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict};

static INFO: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Source and destination, each None where the header does not say.
type Ends<'py> = (Option<Bound<'py, PyAny>>, Option<Bound<'py, PyAny>>);

/// The `ProxyInfo` of a header.
pub fn info<'py>(py: Python<'py>, header: &Header) -> PyResult<Bound<'py, PyAny>> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let value = |kind| header.value(kind);
    let (source, destination) = ends(py, header)?;
    let told = PyDict::new(py);
    told.set_item("version", version(header.version))?;
    told.set_item("local", header.local)?;
    told.set_item("source", source)?;
    told.set_item("destination", destination)?;
    told.set_item("tlvs", tlvs(py, header)?)?;
    told.set_item("authority", value(tlv::AUTHORITY).map(text))?;
    told.set_item("alpn", value(tlv::ALPN).map(text))?;
    let unique_id = value(tlv::UNIQUE_ID).map(|id| PyBytes::new(py, id));
    told.set_item("unique_id", unique_id)?;
    let tls = header.tls().map(|tls| {
        let dict = PyDict::new(py);
        dict.set_item("version", tls.version.map(text))?;
        dict.set_item("cn", tls.cn.map(text))?;
        dict.set_item("cipher", tls.cipher.map(text))?;
        dict.set_item("verified", tls.verified)?;
        Ok::<_, PyErr>(dict)
    });
    told.set_item("tls", tls.transpose()?)?;
    let class = INFO.import(py, "asynctcp._proxy", "ProxyInfo")?;
    class.call((), Some(&told))
}

/// 1 or 2.
pub fn version(version: Version) -> u8 {
    match version {
        Version::One => 1,
        Version::Two => 2,
    }
}

/// Of the connection that the header tells of.
pub fn ends<'py>(py: Python<'py>, header: &Header) -> PyResult<Ends<'py>> {
    let object = |address: &Address| address_object(py, address);
    match &header.ends {
        Some((source, destination)) => Ok((Some(object(source)?), Some(object(destination)?))),
        None => Ok((None, None)),
    }
}

/// Of a type that comes more than once the last.
pub fn tlvs<'py>(py: Python<'py>, header: &Header) -> PyResult<Bound<'py, PyDict>> {
    let tlvs = PyDict::new(py);
    for (kind, value) in &header.tlvs {
        tlvs.set_item(kind, PyBytes::new(py, value))?;
    }
    Ok(tlvs)
}
