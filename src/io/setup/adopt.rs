//! Listening sockets from outside.

use crate::io::failure::Failure;
use crate::io::setup::listener::Options;
use crate::io::sys::address::Address;
use crate::io::sys::platform;
use crate::io::sys::platform::RawFd;
use crate::io::sys::platform::c;
use socket2::{Socket, Type};

/// A duplicate of a descriptor from outside that listens for TCP connections; the caller's stays open.
pub fn adopt(fd: RawFd, options: &Options) -> Result<Socket, Failure> {
    let socket = listening(fd)?;
    options.socket_options.set(&socket)?;
    Ok(socket)
}

/// The same of one that listens for connections of Unix sockets.
pub fn adopt_unix(fd: RawFd, options: &Options) -> Result<Socket, Failure> {
    let socket = duplicate(fd)?;
    let is_unix = matches!(
        Address::own(&socket),
        Ok(Address::Path(_) | Address::Abstract(_))
    );
    let is_stream = matches!(socket.r#type(), Ok(Type::STREAM));
    if !is_unix || !is_stream || !platform::is_listening(&socket)? {
        let message = format!("descriptor {fd} is not a listening Unix stream socket");
        return Err(Failure::Unfit(c::EINVAL, message));
    }
    options.socket_options.set(&socket)?;
    Ok(socket)
}

fn listening(fd: RawFd) -> Result<Socket, Failure> {
    let socket = duplicate(fd)?;
    let unfit = |what: &str| {
        let message = format!("descriptor {fd} is {what}, not a listening TCP socket");
        Failure::Unfit(c::EINVAL, message)
    };
    let Ok(kind) = socket.r#type() else {
        let message = format!("descriptor {fd} is no socket");
        return Err(Failure::Unfit(c::ENOTSOCK, message));
    };
    match (Address::own(&socket), kind) {
        (Ok(Address::Ip(_)), Type::STREAM) if platform::is_listening(&socket)? => Ok(socket),
        (Ok(Address::Ip(_)), Type::STREAM) => Err(unfit("a TCP socket that does not listen")),
        (Ok(Address::Ip(_)), Type::DGRAM) => Err(unfit("a UDP socket")),
        (Ok(Address::Path(_) | Address::Abstract(_) | Address::Unnamed), _) => {
            Err(unfit("a Unix socket"))
        }
        _ => Err(unfit("a socket of another kind")),
    }
}

fn duplicate(fd: RawFd) -> Result<Socket, Failure> {
    platform::duplicate(fd).map_err(|error| match error.raw_os_error() {
        Some(c::EBADF) => Failure::Unfit(c::EBADF, format!("descriptor {fd} is not open")),
        _ => error.into(),
    })
}
