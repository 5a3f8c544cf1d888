//! Addresses, to and from Python's.

use crate::aio::datagram::object::{DatagramTransport, To};
use crate::boundary::address::{address_object, address_tuple};
use crate::io::failure::Failure;
use crate::io::sys::address::Address;
use crate::io::sys::platform;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyString, PyTuple};
use socket2::SockAddr;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// As `recvfrom()` gives it.
pub(crate) fn sender<'py>(
    me: &DatagramTransport,
    py: Python<'py>,
    from: &SockAddr,
) -> PyResult<Bound<'py, PyAny>> {
    let known = me.objects.with(py, |objects| {
        let (address, object) = objects.sender.as_ref()?;
        (address == from).then(|| object.clone_ref(py))
    });
    if let Some(known) = known {
        return Ok(known.into_bound(py));
    }
    let object = made(py, from)?;
    let kept = Some((from.clone(), object.clone().unbind()));
    let old = me
        .objects
        .with(py, |objects| std::mem::replace(&mut objects.sender, kept));
    drop(old);
    Ok(object)
}

fn made<'py>(py: Python<'py>, from: &SockAddr) -> PyResult<Bound<'py, PyAny>> {
    if from.len() == 0 {
        // It has no name.
        return Ok(py.None().into_bound(py));
    }
    if let Some(v6) = from.as_socket_ipv6() {
        // In the system's order of bytes.
        let flow = u32::from_be(v6.flowinfo());
        return address_tuple(
            py,
            SocketAddrV6::new(*v6.ip(), v6.port(), flow, v6.scope_id()).into(),
        );
    }
    if let Some(ip) = from.as_socket() {
        return address_tuple(py, ip);
    }
    Ok(match platform::address(from).map_err(Failure::Os)? {
        Address::Unnamed => py.None().into_bound(py),
        Address::Abstract(name) => {
            let name = [&b"\0"[..], &name].concat();
            PyBytes::new(py, &name).into_any()
        }
        address => address_object(py, &address)?,
    })
}

/// Of literals. What needs a lookup, and what is wrong, is Python's to read.
pub(crate) fn parsed(family: i32, address: &Bound<'_, PyAny>) -> To {
    let literal = match family {
        libc::AF_INET => v4(address),
        libc::AF_INET6 => v6(address),
        _ => None,
    };
    literal.map_or_else(
        || To::Object(address.clone().unbind()),
        |literal| To::Address(literal.into()),
    )
}

fn host_and_port<'py>(address: &Bound<'py, PyTuple>) -> Option<(Bound<'py, PyString>, u16)> {
    let host = address.get_item(0).ok()?.cast_into_exact().ok()?;
    Some((host, number(address, 1)?))
}

fn number<T: TryFrom<i64>>(address: &Bound<'_, PyTuple>, place: usize) -> Option<T> {
    let item = address.get_item(place).ok()?;
    let number = item.cast_exact::<PyInt>().ok()?.extract::<i64>().ok()?;
    T::try_from(number).ok()
}

fn v4(address: &Bound<'_, PyAny>) -> Option<SocketAddr> {
    let address = address.cast_exact::<PyTuple>().ok()?;
    if address.len() != 2 {
        return None;
    }
    let (host, port) = host_and_port(address)?;
    let host = host.to_str().ok()?.parse::<Ipv4Addr>().ok()?;
    Some(SocketAddrV4::new(host, port).into())
}

fn v6(address: &Bound<'_, PyAny>) -> Option<SocketAddr> {
    let address = address.cast_exact::<PyTuple>().ok()?;
    if !(2..=4).contains(&address.len()) {
        return None;
    }
    let (host, port) = host_and_port(address)?;
    let host = host.to_str().ok()?.parse::<Ipv6Addr>().ok()?;
    let rest = |place| {
        if place < address.len() {
            number::<u32>(address, place)
        } else {
            Some(0)
        }
    };
    // Python refuses a larger one.
    let flow = rest(2).filter(|flow| *flow <= 0xf_ffff)?;
    // In the system's order of bytes.
    Some(SocketAddrV6::new(host, port, flow.to_be(), rest(3)?).into())
}
