//! Listening sockets from outside.

use crate::io::failure::Failure;
use crate::io::setup::listener::Options;
use crate::io::sys::platform;
use crate::io::sys::platform::RawFd;
use socket2::{Domain, Socket, Type};

/// A duplicate of a descriptor from outside that listens for TCP connections; the caller's stays open.
pub fn adopt(fd: RawFd, options: &Options) -> Result<Socket, Failure> {
    let socket = listening(fd)?;
    options.socket_options.set(&socket)?;
    Ok(socket)
}

fn listening(fd: RawFd) -> Result<Socket, Failure> {
    let socket = duplicate(fd)?;
    let unfit = |what: &str| {
        let message = format!("descriptor {fd} is {what}, not a listening TCP socket");
        Failure::Unfit(libc::EINVAL, message)
    };
    let (domain, kind) = match (socket.domain(), socket.r#type()) {
        (Ok(domain), Ok(kind)) => (domain, kind),
        _ => {
            return Err(Failure::Unfit(
                libc::ENOTSOCK,
                format!("descriptor {fd} is no socket"),
            ));
        }
    };
    match (domain, kind) {
        (Domain::IPV4 | Domain::IPV6, Type::STREAM) if socket.is_listener()? => Ok(socket),
        (Domain::IPV4 | Domain::IPV6, Type::STREAM) => {
            Err(unfit("a TCP socket that does not listen"))
        }
        (Domain::IPV4 | Domain::IPV6, Type::DGRAM) => Err(unfit("a UDP socket")),
        (Domain::UNIX, _) => Err(unfit("a Unix socket")),
        _ => Err(unfit("a socket of another kind")),
    }
}

fn duplicate(fd: RawFd) -> Result<Socket, Failure> {
    platform::duplicate(fd).map_err(|error| match error.raw_os_error() {
        Some(libc::EBADF) => Failure::Unfit(libc::EBADF, format!("descriptor {fd} is not open")),
        _ => error.into(),
    })
}
