//! Addresses as Python has them.

use crate::io::sys::address::Address;
use crate::io::sys::platform;
use pyo3::prelude::*;
use std::ffi::OsString;
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

/// Any address as `getsockname()` gives it: of a Unix socket its path, a name in no file system with a NUL before it.
pub fn address_object<'py>(py: Python<'py>, address: &Address) -> PyResult<Bound<'py, PyAny>> {
    let name = match address {
        Address::Ip(address) => return address_tuple(py, *address),
        Address::Path(path) => path.as_os_str().to_owned(),
        Address::Abstract(name) => {
            let mut all = OsString::from("\0");
            all.push(platform::path(name));
            all
        }
        Address::Unnamed => OsString::new(),
    };
    Ok(name.into_pyobject(py)?.into_any())
}

/// An address as text, with its scope.
pub fn address_text(address: &SocketAddr) -> String {
    match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
        _ => address.ip().to_string(),
    }
}
