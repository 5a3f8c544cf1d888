//! The PROXY protocol: what a server does with headers, and what one says.

use crate::boundary::args::data::Data;
use crate::boundary::args::hosts::{HostArg, host};
use crate::boundary::args::numbers::{port, within};
use crate::boundary::args::paths::encoded;
use crate::boundary::args::refusal::{wrong_type, wrong_value};
use crate::boundary::args::times::timeout;
use crate::io::proxy::network::Network;
use crate::io::proxy::policy::Policy;
use crate::io::sys::address::Address;
use crate::io::sys::platform;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// `proxy_timeout` where nothing is said.
const USUAL: Duration = Duration::from_secs(5);
/// The space for the name of a Unix socket.
const LONGEST_NAME: usize = 108;

/// `proxy_timeout`, in seconds; None, zero, a negative number or infinity: none.
pub struct ProxyTimeout(Option<Duration>);

impl Default for ProxyTimeout {
    fn default() -> Self {
        Self(Some(USUAL))
    }
}

impl<'py> FromPyObject<'_, 'py> for ProxyTimeout {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        timeout("proxy_timeout", Some(&value)).map(Self)
    }
}

/// `proxy_protocol`, `proxy_from` and `proxy_timeout` of a server. `pipe`: of one whose peers have no addresses.
pub fn proxy_policy(
    protocol: Option<&Bound<'_, PyAny>>,
    from: Option<&Bound<'_, PyAny>>,
    timeout: ProxyTimeout,
    pipe: bool,
) -> PyResult<Option<Policy>> {
    let from = match from.filter(|from| !from.is_none()) {
        Some(from) if pipe => return Err(wrong_value("proxy_from", "None for a pipe", from)),
        Some(from) => Some(networks(from)?),
        None => None,
    };
    let Some(protocol) = protocol.filter(|protocol| !protocol.is_none()) else {
        return Ok(None);
    };
    let Ok(word) = protocol.cast::<PyString>() else {
        return Err(wrong_type("proxy_protocol", "a str or None", protocol));
    };
    let require = match &*word.to_string_lossy() {
        "require" => true,
        "accept" => false,
        _ => {
            let wanted = "None, 'require' or 'accept'";
            return Err(wrong_value("proxy_protocol", wanted, protocol));
        }
    };
    if !require && from.is_none() {
        let message = if pipe {
            "proxy_protocol must be None or 'require' for a pipe: its peers have no addresses by which to decide whom to believe"
        } else {
            "proxy_from must be given with proxy_protocol='accept': anybody could claim any address"
        };
        return Err(PyValueError::new_err(message));
    }
    Ok(Some(Policy {
        require,
        from: from.map(Into::into),
        timeout: timeout.0,
    }))
}

fn networks(from: &Bound<'_, PyAny>) -> PyResult<Vec<Network>> {
    let py = from.py();
    let wanted = "a list of networks";
    if from.is_instance_of::<PyString>() || from.is_instance_of::<PyBytes>() {
        return Err(wrong_type("proxy_from", wanted, from));
    }
    let each = from
        .try_iter()
        .map_err(|_| wrong_type("proxy_from", wanted, from))?;
    let read = py.import("ipaddress")?.getattr(intern!(py, "ip_network"))?;
    each.map(|one| {
        let one = one?;
        let network = read.call1((&one,)).map_err(|error| {
            if error.is_instance_of::<PyValueError>(py) {
                let shown = error.value(py);
                PyValueError::new_err(format!("proxy_from must hold networks: {shown}"))
            } else {
                error
            }
        })?;
        let first = network.getattr(intern!(py, "network_address"))?;
        let first: IpAddr = first.extract()?;
        let bits = network.getattr(intern!(py, "prefixlen"))?.extract()?;
        Network::new(first, bits).ok_or_else(|| wrong_value("proxy_from", "networks", &one))
    })
    .collect()
}

/// Source and destination of a header; None for both: it says none.
pub fn proxy_ends(
    source: &Bound<'_, PyAny>,
    destination: &Bound<'_, PyAny>,
) -> PyResult<Option<(Address, Address)>> {
    if source.is_none() && destination.is_none() {
        return Ok(None);
    }
    let ends = (end("source", source)?, end("destination", destination)?);
    match ends {
        (Address::Ip(source), Address::Ip(destination)) => {
            Ok(Some(of_one_family(source, destination)))
        }
        (Address::Ip(_), _) | (_, Address::Ip(_)) => {
            let wanted = "of the same kind as source";
            Err(wrong_value("destination", wanted, destination))
        }
        ends => Ok(Some(ends)),
    }
}

/// A header has room for one family: where they differ, the IPv4 address is told as IPv6.
fn of_one_family(source: SocketAddr, destination: SocketAddr) -> (Address, Address) {
    let mapped = |address: SocketAddr| match address.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    };
    if source.is_ipv4() == destination.is_ipv4() {
        (source.into(), destination.into())
    } else {
        (mapped(source).into(), mapped(destination).into())
    }
}

/// (host, port), with whatever IPv6 has behind it, or the name of a Unix socket.
fn end(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Address> {
    if let Ok(parts) = value.cast::<PyTuple>() {
        return ip_end(name, parts);
    }
    let encoded = encoded(name, "a tuple (host, port) or a path", value)?;
    let bytes = encoded.as_bytes();
    if bytes.len() > LONGEST_NAME {
        return Err(wrong_value(name, "a path of at most 108 bytes", value));
    }
    match bytes {
        [] => Ok(Address::Unnamed),
        [0, name @ ..] => Ok(Address::Abstract(name.into())),
        path if path.contains(&0) => Err(wrong_value(name, "a path without NUL", value)),
        path => Ok(Address::Path(platform::path(path).into())),
    }
}

fn ip_end(name: &str, parts: &Bound<'_, PyTuple>) -> PyResult<Address> {
    if !matches!(parts.len(), 2 | 4) {
        return Err(wrong_type(name, "a tuple (host, port)", parts));
    }
    let number = port(name, &parts.get_item(1)?, 0)?;
    match host(name, &parts.get_item(0)?)? {
        HostArg::Literal(address) => Ok(SocketAddr::new(address.ip(), number).into()),
        HostArg::Name(_) => Err(wrong_value(name, "an IP address and a port", parts)),
    }
}

/// Types and values of a header; None: none.
pub fn tlvs(value: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<(u8, Box<[u8]>)>> {
    let Some(value) = value.filter(|value| !value.is_none()) else {
        return Ok(Vec::new());
    };
    let Ok(all) = value.cast::<PyDict>() else {
        return Err(wrong_type("tlvs", "a dict of ints and bytes", value));
    };
    all.iter()
        .map(|(kind, value)| {
            let kind = within("tlvs", &kind, 0, u8::MAX.into())?;
            let value = Data::from("tlvs", &value)?;
            Ok((kind, value.as_slice()?.into()))
        })
        .collect()
}
