//! What the system knows by name or address: both ends of a socket, the zones of an address.

use crate::io::sys::address::Address;
use crate::io::sys::platform;
use socket2::Socket;
use std::ffi::CString;
use std::io;

impl Address {
    /// The own address of `socket`.
    pub(crate) fn own(socket: &Socket) -> io::Result<Self> {
        platform::address(&socket.local_addr()?)
    }

    /// The address that `socket` is connected to.
    pub(crate) fn peer(socket: &Socket) -> io::Result<Self> {
        platform::address(&socket.peer_addr()?)
    }
}

/// The zone of an address: the index of a network interface that is given by name.
pub fn zone_index(name: &str) -> Option<u32> {
    platform::interface_index(&CString::new(name).ok()?)
}
