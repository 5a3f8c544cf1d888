//! The `ProxyHeader` that Python makes, for `send_proxy`.

use crate::boundary::args;
use crate::boundary::condition;
use crate::boundary::proxy::{ends, tlvs, version};
use crate::io::proxy::header::{Header, Version};
use crate::io::proxy::write;
use crate::socket::socket_or_stream;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyType};
use std::hash::{Hash, Hasher};

/// A PROXY header: names the client on whose behalf this connection is made.
///
/// Args:
///     source, destination: the two ends of the client's connection, as `peername` and `sockname` are: (host, port), the
///         host an IP address, or the path of a Unix socket. None for both: there is no client (a health check).
///     version: 2, or 1 for the line of text.
///     tlvs: what version 2 says beside addresses, {type: bytes or str}, 0 to 255. The checksum of type 3 is computed,
///         whatever its value.
///
/// If one address is IPv4 and the other IPv6, both are sent as IPv6. Version 1 says `UNKNOWN` where it cannot express the addresses. Immutable, hashable,
/// can be pickled; `bytes(header)` is what is sent. Raises `TypeError`, `ValueError`.
#[pyclass(frozen, eq, hash, module = "asynctcp")]
#[derive(PartialEq, Eq)]
pub struct ProxyHeader {
    header: Header,
    bytes: Vec<u8>,
}

impl Hash for ProxyHeader {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // What is equal is sent as the same.
        self.bytes.hash(state);
    }
}

impl ProxyHeader {
    /// What is sent.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn of_header(header: Header) -> PyResult<Self> {
        match write::write(&header) {
            Some(bytes) => Ok(Self { header, bytes }),
            None => Err(PyValueError::new_err(
                "tlvs must not be longer than 65,535 bytes with the addresses",
            )),
        }
    }
}

/// What pickling keeps.
type Kept<'py> = (
    u8,
    bool,
    Option<Bound<'py, PyAny>>,
    Option<Bound<'py, PyAny>>,
    Vec<(u8, Bound<'py, PyBytes>)>,
);

fn version_of(value: Option<&Bound<'_, PyAny>>) -> PyResult<Version> {
    let number = value.map_or(Ok(2), |value| args::within("version", value, 1, 2))?;
    Ok(if number == 1 {
        Version::One
    } else {
        Version::Two
    })
}

#[pymethods]
impl ProxyHeader {
    #[new]
    #[pyo3(signature = (source, destination, *, version=None, tlvs=None),
           text_signature = "(source, destination, *, version=2, tlvs={})")]
    fn new(
        source: &Bound<'_, PyAny>,
        destination: &Bound<'_, PyAny>,
        version: Option<&Bound<'_, PyAny>>,
        tlvs: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let ends = args::proxy_ends(source, destination)?;
        let (version, tlvs) = (version_of(version)?, args::tlvs(tlvs)?);
        if version == Version::One && !tlvs.is_empty() {
            return Err(PyValueError::new_err(
                "tlvs must be empty with version=1, which cannot tell them",
            ));
        }
        Self::of_header(Header {
            version,
            local: ends.is_none(),
            ends,
            tlvs,
        })
    }

    /// A header that names the client of an accepted socket, to be passed on: what the socket's own PROXY header said (with the
    /// TLVs, but for checksum and padding), else its own ends.
    ///
    /// Args:
    ///     socket: a `Socket` or an `AsyncIOStream`.
    ///     version: of the header that is made; 1 leaves TLVs out.
    ///
    /// Raises `TcpError` (`ENOTCONN`) for a socket without a connection, `TypeError`, `ValueError`.
    #[classmethod]
    #[pyo3(signature = (socket, *, version=None), text_signature = "($type, socket, *, version=2)")]
    fn of(
        _class: &Bound<'_, PyType>,
        socket: &Bound<'_, PyAny>,
        version: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let version = version_of(version)?;
        let socket = socket_or_stream::socket("socket", socket)?;
        let link = &socket.get().link;
        let Some(ends) = link.ends() else {
            return Err(condition::not_connected(&socket));
        };
        let header = match link.proxied().map(|proxied| &proxied.header) {
            Some(header) => header.passed_on(version),
            None => Header {
                version,
                local: false,
                ends: Some(ends),
                tlvs: Vec::new(),
            },
        };
        Self::of_header(header)
    }

    /// The source, as given; None for a header without addresses.
    #[getter]
    fn source<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(ends(py, &self.header)?.0)
    }

    /// The destination, as given; None for a header without addresses.
    #[getter]
    fn destination<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(ends(py, &self.header)?.1)
    }

    /// 1 or 2.
    #[getter]
    fn version(&self) -> u8 {
        version(self.header.version)
    }

    /// What it says beside addresses, by type (a copy).
    #[getter]
    fn tlvs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        tlvs(py, &self.header)
    }

    /// Restores what pickling kept: a header that was passed on may hold what the constructor does not take.
    #[classmethod]
    fn _restored(
        _class: &Bound<'_, PyType>,
        version: &Bound<'_, PyAny>,
        local: bool,
        source: &Bound<'_, PyAny>,
        destination: &Bound<'_, PyAny>,
        tlvs: Vec<(u8, Vec<u8>)>,
    ) -> PyResult<Self> {
        let tlvs = tlvs.into_iter().map(|(kind, value)| (kind, value.into()));
        Self::of_header(Header {
            version: version_of(Some(version))?,
            local,
            ends: args::proxy_ends(source, destination)?,
            tlvs: tlvs.collect(),
        })
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, Kept<'py>)> {
        let (py, own) = (slf.py(), slf.get());
        let header = &own.header;
        let (source, destination) = ends(py, header)?;
        let tlvs = header.tlvs.iter();
        let kept = (
            own.version(),
            header.local,
            source,
            destination,
            tlvs.map(|(kind, value)| (*kind, PyBytes::new(py, value)))
                .collect(),
        );
        Ok((slf.get_type().getattr(intern!(py, "_restored"))?, kept))
    }

    fn __bytes__<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.bytes)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let (source, destination) = ends(py, &self.header)?;
        let shown = |end: Option<Bound<'_, PyAny>>| match end {
            Some(end) => end.repr().map(|text| text.to_string()),
            None => Ok("None".to_owned()),
        };
        let (source, destination) = (shown(source)?, shown(destination)?);
        let (version, tlvs) = (self.version(), self.tlvs(py)?.repr()?);
        Ok(format!(
            "ProxyHeader({source}, {destination}, version={version}, tlvs={tlvs})"
        ))
    }
}
