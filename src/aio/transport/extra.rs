//! What `get_extra_info` knows: made when somebody asks, for objects of the two addresses are half of what an idle connection costs.

use crate::aio::object::NativeLoop;
use crate::boundary::address::address_tuple;
use crate::io::sys::address::Address;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use std::net::{SocketAddr, SocketAddrV4};
use std::os::fd::BorrowedFd;

/// See the module's page.
pub(crate) enum Extra {
    /// An ordinary connection's two ends, as they were at its begin.
    Ends {
        local: SocketAddrV4,
        peer: SocketAddrV4,
    },
    Made(Py<PyDict>),
}

impl Extra {
    /// `given`: what the loop knew before; the peer's address mostly.
    pub(crate) fn of(
        event_loop: &Bound<'_, NativeLoop>,
        socket: &Bound<'_, PyAny>,
        descriptor: BorrowedFd<'_>,
        given: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let py = socket.py();
        let knows_more = match given {
            Some(given) => given.len() > usize::from(given.contains(intern!(py, "peername"))?),
            None => false,
        };
        if !knows_more && let Some((local, peer)) = ends(descriptor) {
            return Ok(Self::Ends { local, peer });
        }
        let make = MAKE.import(py, "asynctcp.aio._transport", "extra_of")?;
        let made = make.call1((event_loop, socket, given))?;
        Ok(Self::Made(made.cast_into::<PyDict>()?.unbind()))
    }
}

/// None: it is of another family, or the peer is gone already.
fn ends(descriptor: BorrowedFd<'_>) -> Option<(SocketAddrV4, SocketAddrV4)> {
    let socket = socket2::SockRef::from(&descriptor);
    let v4 = |address: Address| match address.ip() {
        Some(SocketAddr::V4(address)) => Some(address),
        _ => None,
    };
    Some((
        v4(Address::own(&socket).ok()?)?,
        v4(Address::peer(&socket).ok()?)?,
    ))
}

/// The dictionary for a socket, open or closed, with those two ends. No loop: the connection is lost.
pub(crate) fn make<'py>(
    event_loop: Option<Bound<'py, NativeLoop>>,
    socket: &Bound<'py, PyAny>,
    local: SocketAddrV4,
    peer: SocketAddrV4,
) -> PyResult<Bound<'py, PyDict>> {
    static SOCKET: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = socket.py();
    let class = SOCKET.import(py, "asynctcp.aio._written", "TransportSocket")?;
    let made = PyDict::new(py);
    made.set_item(intern!(py, "socket"), class.call1((socket, event_loop))?)?;
    made.set_item(intern!(py, "sockname"), address_tuple(py, local.into())?)?;
    made.set_item(intern!(py, "peername"), address_tuple(py, peer.into())?)?;
    Ok(made)
}
