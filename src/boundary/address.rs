//! Addresses as Python has them.

use pyo3::prelude::*;
use std::net::SocketAddr;

/// `getsockname()`'s form: (host, port), and flow and scope for IPv6.
pub fn address_tuple<'py>(py: Python<'py>, address: SocketAddr) -> PyResult<Bound<'py, PyAny>> {
    match address {
        SocketAddr::V4(v4) => Ok((v4.ip().to_string(), v4.port())
            .into_pyobject(py)?
            .into_any()),
        SocketAddr::V6(v6) => Ok(
            (v6.ip().to_string(), v6.port(), v6.flowinfo(), v6.scope_id())
                .into_pyobject(py)?
                .into_any(),
        ),
    }
}

/// An address as text, with its scope.
pub fn address_text(address: &SocketAddr) -> String {
    match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
        _ => address.ip().to_string(),
    }
}
