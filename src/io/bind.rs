//! Listening sockets: bound here, or adopted from outside.

use super::Failure;
use super::listener::Options;
use super::resolve;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// Listens on any address (None) or on that of a name. Blocks while the name is looked up.
pub fn bind(name: Option<&str>, port: u16, options: &Options) -> Result<Socket, Failure> {
    let Some(name) = name else {
        return Ok(bind_any(port, options)?);
    };
    let mut address = first_of(&resolve::look_up_now(name, None).map_err(Failure::Lookup)?);
    address.set_port(port);
    Ok(bind_address(address, options)?)
}

/// Listens on one address.
pub fn bind_address(address: SocketAddr, options: &Options) -> io::Result<Socket> {
    listen(address, false, options)
}

/// A name with both families means its IPv4 address, as most clients will try that in any case.
fn first_of(addresses: &[SocketAddr]) -> SocketAddr {
    addresses
        .iter()
        .find(|address| address.is_ipv4())
        .copied()
        .unwrap_or(addresses[0])
}

/// IPv6 with IPv4 mapped into it, or IPv4 alone where there is no IPv6.
fn bind_any(port: u16, options: &Options) -> io::Result<Socket> {
    match listen((Ipv6Addr::UNSPECIFIED, port).into(), true, options) {
        Err(error)
            if matches!(
                error.raw_os_error(),
                Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL)
            ) =>
        {
            listen((Ipv4Addr::UNSPECIFIED, port).into(), false, options)
        }
        result => result,
    }
}

fn listen(address: SocketAddr, dual_stack: bool, options: &Options) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(!dual_stack)?;
    }
    // On Unix this lets a restarted server bind while old connections are in TIME_WAIT, and no more.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    if options.reuse_port {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    // The kernel bounds it by net.core.somaxconn.
    socket.listen(options.backlog.unwrap_or(i32::MAX))?;
    Ok(socket)
}

/// A duplicate of a descriptor from outside that listens for TCP connections; the caller's stays open.
#[cfg(unix)]
pub fn adopt(fd: std::os::fd::RawFd) -> io::Result<Socket> {
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: it is borrowed for the one call that duplicates it, which fails for a number that is no open descriptor;
    // no safe way leads from a number, which is all that Python can hand over, to a borrowed descriptor.
    let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
    let socket = Socket::from(borrowed.try_clone_to_owned()?);
    let of_tcp =
        matches!(socket.domain()?, Domain::IPV4 | Domain::IPV6) && socket.r#type()? == Type::STREAM;
    if of_tcp && socket.is_listener()? {
        Ok(socket)
    } else {
        Err(io::Error::from_raw_os_error(libc::EINVAL))
    }
}

/// The address that `socket` is bound to.
pub fn address_of(socket: &Socket) -> Option<SocketAddr> {
    SockRef::from(socket).local_addr().ok()?.as_socket()
}
