//! Who is at either end of a socket, as Python has it.

use crate::boundary::address::address_object;
use crate::socket::object::Socket;
use pyo3::prelude::*;

/// Peer and own address, as a balancer tells them if there is one; None: there is no connection yet.
pub fn ends<'py>(
    py: Python<'py>,
    socket: &Socket,
) -> PyResult<Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>> {
    if let Some(names) = socket.names(py) {
        return Ok(Some(names));
    }
    let Some((peer, own)) = socket.link.ends() else {
        return Ok(None);
    };
    Ok(Some((
        address_object(py, &peer)?,
        address_object(py, &own)?,
    )))
}

/// Who has made the connection.
pub fn transport_peer<'py>(
    py: Python<'py>,
    socket: &Socket,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    if let Some((peer, _)) = socket.names(py) {
        return Ok(Some(peer));
    }
    let peer = socket.link.transport_peer();
    peer.map(|peer| address_object(py, &peer)).transpose()
}
