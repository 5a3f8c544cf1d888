//! Any Unix but Linux. It compiles for macOS; nobody has tried it.

use crate::io::sys::address::Address;
pub(crate) use crate::io::sys::platform::portable::{Timer, URGENT, nanoseconds};
use crate::io::sys::platform::unix::address;
use socket2::Socket;
use std::io;
use std::os::fd::AsFd;

/// The kernel does not tell.
pub(crate) fn unacknowledged(_: &impl AsFd) -> io::Result<usize> {
    Ok(1)
}

/// A connection that is reset ends when it is closed, and a socket whose attempt has failed is no good for another.
pub(crate) fn disconnect(_: &impl AsFd) {}

/// There is no such option.
pub(crate) fn choose_port_late(_: &Socket) {}

pub(crate) fn accept(listening: &Socket) -> io::Result<(Socket, Address)> {
    let (accepted, peer) = listening.accept()?;
    accepted.set_nonblocking(true)?;
    // Not inherited everywhere.
    let _ = accepted.set_tcp_nodelay(true);
    Ok((accepted, address(&peer)?))
}
