//! Any Unix but Linux: what is portable. It compiles for macOS; nobody has tried it.

use crate::io::sys::address::Address;
use crate::io::sys::platform::portable::accept_one;
pub(crate) use crate::io::sys::platform::portable::{
    Timer, URGENT, choose_port_late, disconnect, give_heap_back, is_listening, nanoseconds,
    unacknowledged,
};
use crate::io::sys::platform::unix::address;
use socket2::Socket;
use std::io;
use std::os::fd::AsFd;

pub(crate) fn accept(listening: &Socket) -> io::Result<(Socket, Address)> {
    let (accepted, peer) = accept_one(listening)?;
    Ok((accepted, address(&peer)?))
}

pub(crate) fn peer_credentials(_socket: &impl AsFd) -> io::Result<(i32, u32, u32)> {
    Err(io::ErrorKind::Unsupported.into())
}
