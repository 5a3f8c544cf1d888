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
pub fn adopt(fd: std::os::fd::RawFd) -> Result<Socket, Failure> {
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

fn duplicate(fd: std::os::fd::RawFd) -> Result<Socket, Failure> {
    let closed = || Failure::Unfit(libc::EBADF, format!("descriptor {fd} is not open"));
    if fd < 0 {
        return Err(closed());
    }
    // SAFETY: it is borrowed for the one call that duplicates it, which fails for a number that is no open descriptor;
    // no safe way leads from a number, which is all that Python can hand over, to a borrowed descriptor.
    let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
    match borrowed.try_clone_to_owned() {
        Ok(duplicate) => Ok(Socket::from(duplicate)),
        Err(error) if error.raw_os_error() == Some(libc::EBADF) => Err(closed()),
        Err(error) => Err(error.into()),
    }
}

/// The address that `socket` is bound to.
pub fn address_of(socket: &Socket) -> Option<SocketAddr> {
    SockRef::from(socket).local_addr().ok()?.as_socket()
}
