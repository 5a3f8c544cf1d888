//! The addresses of a socket's two ends, as the system has them.

use crate::io::sys::address::Address;
use crate::io::sys::platform;
use socket2::Socket;
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
