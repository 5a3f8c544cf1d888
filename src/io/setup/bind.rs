//! Listening sockets of the app's own.

use crate::io::failure::Failure;
use crate::io::setup::getaddrinfo;
use crate::io::setup::listener::Options;
use crate::io::sys::platform;
use crate::io::sys::platform::c;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// A port that is free at one address of a name may be taken at another: so many are tried.
const PORTS: usize = 32;

/// Listens on one address.
pub fn bind_address(address: SocketAddr, options: &Options) -> io::Result<Socket> {
    listen(address, false, options)
}

/// Listens on any address: IPv6 with IPv4 mapped into it, or IPv4 alone where there is no IPv6.
pub fn bind_any(port: u16, options: &Options) -> io::Result<Socket> {
    let ipv4 = (Ipv4Addr::UNSPECIFIED, port).into();
    let ipv6 = (Ipv6Addr::UNSPECIFIED, port).into();
    match options.family {
        Some(c::AF_INET) => listen(ipv4, false, options),
        Some(_) => listen(ipv6, false, options),
        None => match listen(ipv6, true, options) {
            Err(error) if is_not_ours(&error) => listen(ipv4, false, options),
            result => result,
        },
    }
}

/// Listens on all addresses of a name, on one port; IPv4 first, as most clients will try that in any case. Blocks while
/// the name is looked up.
pub fn bind_name(name: &str, port: u16, options: &Options) -> Result<Vec<Socket>, Failure> {
    let found =
        getaddrinfo::look_up(name, options.family).map_err(|failure| match failure.errno {
            Some(errno) => io::Error::from_raw_os_error(errno).into(),
            None => Failure::Lookup(failure),
        })?;
    let mut addresses = Vec::with_capacity(found.len());
    for mut address in found {
        address.set_port(port);
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses.sort_by_key(SocketAddr::is_ipv6);
    let mut taken = Vec::new();
    loop {
        let mut sockets = Vec::with_capacity(addresses.len());
        match bind_all(&addresses, options, &mut sockets) {
            // The kernel had a port for the first, and another of the addresses has it in use.
            Err(error)
                if port == 0 && is_in_use(&error) && !sockets.is_empty() && taken.len() < PORTS =>
            {
                // Kept until there is one, or the same would be chosen again.
                taken.append(&mut sockets);
            }
            Err(error) => return Err(error.into()),
            Ok(()) => return Ok(sockets),
        }
    }
}

/// Those that this machine does not have are left out, as long as there is another.
fn bind_all(
    addresses: &[SocketAddr],
    options: &Options,
    sockets: &mut Vec<Socket>,
) -> io::Result<()> {
    let mut chosen = None;
    let mut left_out = Ok(());
    for mut address in addresses.iter().copied() {
        if let Some(port) = chosen {
            address.set_port(port);
        }
        match listen(address, false, options) {
            Ok(socket) => {
                chosen = Some(address_of(&socket)?.port());
                sockets.push(socket);
            }
            Err(error) if is_not_ours(&error) => left_out = Err(error),
            Err(error) => return Err(error),
        }
    }
    if sockets.is_empty() { left_out } else { Ok(()) }
}

fn is_in_use(error: &io::Error) -> bool {
    error.raw_os_error() == Some(c::EADDRINUSE)
}

/// Whether the machine has no such address, or nothing of its family.
fn is_not_ours(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    matches!(code, Some(c::EAFNOSUPPORT | c::EADDRNOTAVAIL))
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
    platform::let_rebind(&socket)?;
    if options.reuse_port {
        platform::share_port(&socket)?;
    }
    options.socket_options.set(&socket)?;
    socket.bind(&address.into())?;
    // The kernel bounds it by net.core.somaxconn.
    socket.listen(options.backlog.unwrap_or(i32::MAX))?;
    Ok(socket)
}

/// The address that `socket` is bound to.
pub fn address_of(socket: &Socket) -> io::Result<SocketAddr> {
    let address = SockRef::from(socket).local_addr()?.as_socket();
    address.ok_or_else(|| io::Error::from_raw_os_error(c::EAFNOSUPPORT))
}
