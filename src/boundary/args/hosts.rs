//! Hosts, addresses, families.

use crate::boundary::args::numbers::port;
use crate::boundary::args::refusal::{wrong_type, wrong_value};
use crate::io::sys::platform::c;
use crate::io::sys::zone_index::zone_index;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyInt, PyString, PyTuple};
use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Longest name that the DNS knows (RFC 1035), and longest label of one.
const LONGEST_HOST: usize = 253;

const LONGEST_LABEL: usize = 63;

/// A host: an address, or a name ready for the resolver.
#[derive(Debug)]
pub enum HostArg {
    /// A literal, with its scope.
    Literal(SocketAddr),
    /// A name (in ASCII), or a literal with a scope that only the system can resolve.
    Name(String),
}

/// A host that is not empty.
pub fn host(name: &str, value: &Bound<'_, PyAny>) -> PyResult<HostArg> {
    let Ok(text) = value.cast::<PyString>() else {
        let wanted = if value.is_instance_of::<PyTuple>() {
            "a str, the port being an argument of its own"
        } else {
            "a str"
        };
        return Err(wrong_type(name, wanted, value));
    };
    let text = match text.to_str() {
        Ok(text) => text.to_owned(),
        Err(_) => return Err(wrong_value(name, "a host without surrogates", value)),
    };
    if text.is_empty() {
        return Err(wrong_value(name, "a host", value));
    }
    if text.chars().any(|c| c.is_whitespace() || c == '\0') {
        return Err(wrong_value(name, "a host without whitespace or NUL", value));
    }
    if let Some(wanted) = wanted_in_place_of(&text) {
        return Err(wrong_value(name, wanted, value));
    }
    // What is ASCII is left as it is; a literal in other digits is one only then.
    let ascii = match literal(&text) {
        None if !text.is_ascii() => {
            idna(&text).ok_or_else(|| wrong_value(name, "a host that IDNA can encode", value))?
        }
        _ => text,
    };
    if let Some(address) = literal(&ascii) {
        return Ok(HostArg::Literal(address));
    }
    let labels_fit = ascii
        .split('%')
        .next()
        .unwrap_or("")
        .split('.')
        .all(|label| label.len() <= LONGEST_LABEL);
    if ascii.len() > LONGEST_HOST || !labels_fit {
        return Err(wrong_value(
            name,
            "a host of at most 253 characters in labels of at most 63",
            value,
        ));
    }
    Ok(HostArg::Name(ascii))
}

/// What a host with more than a host in it should have been: as URLs and command lines write it. A literal has more than one
/// colon, or none.
fn wanted_in_place_of(text: &str) -> Option<&'static str> {
    let alone = "a host alone, the port being an argument of its own";
    if text.contains("]:") {
        return Some(alone);
    }
    if text.contains(['[', ']']) {
        return Some("an IPv6 address without brackets");
    }
    let (_, port) = text.split_once(':')?;
    let is_port = port.bytes().all(|digit| digit.is_ascii_digit());
    is_port.then_some(alone)
}

/// Where a server listens; None: any address.
pub fn bind_host(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<HostArg>> {
    let any = value.is_none()
        || value
            .cast::<PyString>()
            .is_ok_and(|text| text.to_str().is_ok_and(str::is_empty));
    if any {
        Ok(None)
    } else {
        host(name, value).map(Some)
    }
}

/// A host that must be an IP address.
pub fn literal_host(name: &str, value: &Bound<'_, PyAny>) -> PyResult<SocketAddr> {
    match host(name, value)? {
        HostArg::Literal(address) => Ok(address),
        HostArg::Name(_) => Err(wrong_value(name, "an IP address", value)),
    }
}

/// An address family; AF_UNSPEC: None, both.
pub fn family(name: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<i32>> {
    let Some(given) = value.filter(|value| !value.is_none()) else {
        return Ok(None);
    };
    if !given.is_instance_of::<PyInt>() || given.is_instance_of::<PyBool>() {
        return Err(wrong_type(name, "an address family", given));
    }
    match given.extract::<i32>() {
        Ok(c::AF_UNSPEC) => Ok(None),
        Ok(family @ (c::AF_INET | c::AF_INET6)) => Ok(Some(family)),
        _ => Err(wrong_value(name, "AF_UNSPEC, AF_INET or AF_INET6", given)),
    }
}

/// The own address to connect from: (host, port), the host a literal.
pub fn local_address(name: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<SocketAddr>> {
    let Some(value) = value.filter(|value| !value.is_none()) else {
        return Ok(None);
    };
    let Ok((address, number)) = value.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>() else {
        return Err(wrong_type(name, "a tuple (host, port)", value));
    };
    let number = port(name, &number, 0)?;
    match host(name, &address)? {
        HostArg::Literal(mut address) => {
            address.set_port(number);
            Ok(Some(address))
        }
        HostArg::Name(_) => Err(wrong_value(name, "an IP address and a port", value)),
    }
}

fn literal(text: &str) -> Option<SocketAddr> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(SocketAddr::new(ip, 0));
    }
    let (address, zone) = text.split_once('%')?;
    let address: Ipv6Addr = address.parse().ok()?;
    Some(SocketAddrV6::new(address, 0, 0, scope(zone)?).into())
}

/// The index of an interface, given by name or number. A zone that does not exist is left for the resolver to refuse.
fn scope(zone: &str) -> Option<u32> {
    zone.parse().ok().or_else(|| zone_index(zone))
}

/// The ASCII form of an internationalised name, as browsers make it (UTS 46, not transitional), in lower case; None: it has
/// none.
pub fn idna(text: &str) -> Option<String> {
    let ascii = idna::domain_to_ascii_cow(text.as_bytes(), idna::AsciiDenyList::URL);
    ascii
        .ok()
        .filter(|ascii| !ascii.is_empty())
        .map(Cow::into_owned)
}
