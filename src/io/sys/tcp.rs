//! What the kernel knows and does of a TCP connection beyond its bytes.

use crate::io::sys::platform::{self, AsFd};
use socket2::{SockRef, Socket};
use std::io;
use std::time::Duration;

/// Bytes (a FIN counts as one) that the kernel sent and the peer has not acknowledged, or has still to send. Where the kernel
/// does not tell it is always 1: a close waits for the peer's FIN then.
pub(crate) fn unacknowledged(socket: &impl AsFd) -> io::Result<usize> {
    platform::unacknowledged(socket)
}

/// Makes the coming close a reset, and resets at once where the system can: a forked child that holds a copy of the
/// descriptor would otherwise keep the connection open.
pub(crate) fn reset(socket: &impl AsFd) {
    let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
    platform::disconnect(socket);
}

/// Makes a socket whose attempt has failed ready for the next, where the system can.
pub(crate) fn forget_connection(socket: &Socket) {
    platform::disconnect(socket);
}

/// Lets a port that is left to the kernel be chosen when connecting: it then need be free for that peer only. Where the
/// system cannot, it is chosen when binding.
pub(crate) fn choose_port_late(socket: &Socket) {
    platform::choose_port_late(socket);
}
