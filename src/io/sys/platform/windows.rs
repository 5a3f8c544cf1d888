//! Windows. The I/O side compiles for it; nobody has tried it.

use crate::io::sys::address::Address;
use crate::io::sys::platform::portable::accept_one;
pub(crate) use crate::io::sys::platform::portable::{
    Timer, URGENT, choose_port_late, disconnect, give_heap_back, is_listening, nanoseconds,
    unacknowledged,
};
use socket2::{SockAddr, Socket};
use std::borrow::Borrow;
use std::ffi::CStr;
use std::fs::Metadata;
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
pub(crate) use std::os::windows::io::{
    AsRawSocket as AsRawFd, AsSocket as AsFd, RawSocket as RawFd,
};
use std::os::windows::io::{BorrowedSocket, FromRawSocket};
use std::path::Path;
use std::task::{Context, Poll};
use std::time::SystemTime;
use tokio::io::{Interest, Ready};

/// Numbers of winsock2.h, and of errno.h for what that does not have.
#[allow(dead_code)] // Some are for tests.
pub(crate) mod c {
    pub(crate) const AF_UNSPEC: i32 = 0;
    pub(crate) const AF_INET: i32 = 2;
    pub(crate) const AF_INET6: i32 = 23;
    pub(crate) const SOCK_STREAM: i32 = 1;
    pub(crate) const SOL_SOCKET: i32 = 0xffff;
    pub(crate) const SO_RCVLOWAT: i32 = 0x1004;
    pub(crate) const NI_NAMEREQD: i32 = 4;
    pub(crate) const EAI_NONAME: i32 = 11001;
    pub(crate) const EAI_AGAIN: i32 = 11002;
    pub(crate) const EAI_FAIL: i32 = 11003;
    /// The resolver never says it.
    pub(crate) const EAI_SYSTEM: i32 = -11;
    pub(crate) const EPERM: i32 = 1;
    pub(crate) const EIO: i32 = 5;
    pub(crate) const ENOMEM: i32 = 12;
    pub(crate) const ENFILE: i32 = 23;
    pub(crate) const EPIPE: i32 = 32;
    pub(crate) const EPROTO: i32 = 134;
    pub(crate) const ENOENT: i32 = 2;
    pub(crate) const EEXIST: i32 = 17;
    pub(crate) const EINTR: i32 = 10004;
    pub(crate) const EBADF: i32 = 10009;
    pub(crate) const EINVAL: i32 = 10022;
    pub(crate) const EMFILE: i32 = 10024;
    pub(crate) const EAGAIN: i32 = 10035;
    /// A connect that goes on says so.
    pub(crate) const EINPROGRESS: i32 = EAGAIN;
    pub(crate) const ENOTSOCK: i32 = 10038;
    pub(crate) const ENOPROTOOPT: i32 = 10042;
    pub(crate) const EPROTONOSUPPORT: i32 = 10043;
    pub(crate) const EOPNOTSUPP: i32 = 10045;
    pub(crate) const EAFNOSUPPORT: i32 = 10047;
    pub(crate) const EADDRINUSE: i32 = 10048;
    pub(crate) const EADDRNOTAVAIL: i32 = 10049;
    pub(crate) const ENETDOWN: i32 = 10050;
    pub(crate) const ENETUNREACH: i32 = 10051;
    pub(crate) const ECONNABORTED: i32 = 10053;
    pub(crate) const ECONNRESET: i32 = 10054;
    pub(crate) const ENOBUFS: i32 = 10055;
    pub(crate) const ENOTCONN: i32 = 10057;
    pub(crate) const ETIMEDOUT: i32 = 10060;
    pub(crate) const ECONNREFUSED: i32 = 10061;
    pub(crate) const EHOSTDOWN: i32 = 10064;
    pub(crate) const EHOSTUNREACH: i32 = 10065;
}

/// A socket that does not block sends without waiting, and there are no signals.
pub(crate) const SEND_FLAGS: i32 = 0;
/// MSG_PEEK of winsock2.h.
pub(crate) const PEEK_FLAGS: i32 = 2;

// SAFETY: as the system's headers declare it.
#[link(name = "kernel32")]
unsafe extern "system" {
    safe fn GetCurrentThreadId() -> u32;
}

// SAFETY: as the system's headers declare it.
#[link(name = "ws2_32")]
unsafe extern "system" {
    fn setsockopt(socket: RawFd, level: i32, name: i32, value: *const u8, size: i32) -> i32;
}

pub(crate) fn set_option(
    socket: &impl AsFd,
    level: i32,
    name: i32,
    value: &[u8],
) -> io::Result<()> {
    let size = i32::try_from(value.len()).unwrap_or(i32::MAX);
    let socket = number(socket);
    // SAFETY: the socket is open as long as it is borrowed, and no more bytes are read than the value has. No crate sets
    // options that it does not know.
    let result = unsafe { setsockopt(socket, level, name, value.as_ptr(), size) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Zones are written as numbers here.
pub(crate) fn interface_index(_: &CStr) -> Option<u32> {
    None
}

/// Size and time of the last change.
pub(crate) type FileVersion = (u64, Option<SystemTime>);

pub(crate) fn file_version(data: &Metadata) -> FileVersion {
    (data.len(), data.modified().ok())
}

pub(crate) const HOSTS: &str = r"C:\Windows\System32\drivers\etc\hosts";
pub(crate) const NULL: &str = "NUL";

pub(crate) fn number(socket: &impl AsFd) -> RawFd {
    socket.as_socket().as_raw_socket()
}

/// # Safety
///
/// Nobody else owns it, and it is open.
pub(crate) unsafe fn own(number: RawFd) -> Socket {
    // SAFETY: the caller's.
    unsafe { Socket::from_raw_socket(number) }
}

/// It cannot be told from another that was given its number.
pub(crate) fn file_of(number: RawFd) -> Option<(u64, u64)> {
    (number != RawFd::MAX).then_some((number, 0))
}

pub(crate) fn this_thread() -> usize {
    GetCurrentThreadId() as usize
}

pub(crate) fn copy(socket: &impl AsFd) -> io::Result<Socket> {
    socket.as_socket().try_clone_to_owned().map(Into::into)
}

pub(crate) fn duplicate(number: RawFd) -> io::Result<Socket> {
    if number == RawFd::MAX {
        return Err(io::Error::from_raw_os_error(c::EBADF));
    }
    // SAFETY: it is borrowed for the one call that duplicates it, which fails for a number that is no socket; no safe way leads
    // from a number, which is all that Python can hand over, to a borrowed socket.
    let borrowed = unsafe { BorrowedSocket::borrow_raw(number) };
    copy(&borrowed)
}

/// The names of Unix sockets are not read.
pub(crate) fn address(address: &SockAddr) -> io::Result<Address> {
    let unnamed = || address.is_unix().then_some(Address::Unnamed);
    let known = address.as_socket().map(Address::Ip).or_else(unnamed);
    known.ok_or_else(|| io::Error::from_raw_os_error(c::EAFNOSUPPORT))
}

pub(crate) fn path(bytes: &[u8]) -> &Path {
    Path::new(std::str::from_utf8(bytes).unwrap_or_default())
}

/// Not needed here, where the option would let two servers have one port.
pub(crate) fn let_rebind(_: &Socket) -> io::Result<()> {
    Ok(())
}

pub(crate) fn share_port(_: &Socket) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(c::EOPNOTSUPP))
}

pub(crate) fn accept(listening: &Socket) -> io::Result<(Socket, Address)> {
    let (accepted, peer) = accept_one(listening)?;
    Ok((accepted, address(&peer)?))
}

pub(crate) type PipeEnd = TcpStream;
pub(crate) type AsyncPipeEnd = tokio::net::TcpStream;

pub(crate) fn pipe() -> io::Result<(PipeEnd, PipeEnd)> {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let one = TcpStream::connect(server.local_addr()?)?;
    loop {
        let (other, peer) = server.accept()?;
        // Others may connect as well.
        if peer == one.local_addr()? {
            one.set_nodelay(true)?;
            return Ok((one, other));
        }
    }
}

/// Tokio watches a duplicate: it knows no sockets but its own.
#[derive(Debug)]
pub(crate) struct Watcher<S> {
    socket: Held<S>,
    watched: tokio::net::TcpStream,
}

#[derive(Debug)]
pub(crate) struct Held<S>(pub(crate) S);

pub(crate) fn watch<S: Borrow<Socket>>(socket: S, _: Interest) -> io::Result<Watcher<S>> {
    let watched = TcpStream::from(socket.borrow().try_clone()?);
    Ok(Watcher {
        socket: Held(socket),
        watched: tokio::net::TcpStream::from_std(watched)?,
    })
}

impl<S> Watcher<S> {
    pub(crate) fn get_ref(&self) -> &Held<S> {
        &self.socket
    }

    pub(crate) fn into_inner(self) -> Held<S> {
        self.socket
    }

    pub(crate) fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.watched.poll_read_ready(context)
    }

    pub(crate) fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.watched.poll_write_ready(context)
    }

    pub(crate) fn try_io<R>(
        &self,
        interest: Interest,
        call: impl FnOnce(&Held<S>) -> io::Result<R>,
    ) -> io::Result<R> {
        self.watched.try_io(interest, || call(&self.socket))
    }

    pub(crate) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        self.watched.ready(interest).await
    }
}

pub(crate) fn peer_credentials(_socket: &impl AsFd) -> io::Result<(i32, u32, u32)> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn set_mode(_socket: &impl AsFd, _mode: u32) -> io::Result<()> {
    Ok(())
}

pub(crate) fn set_file_mode(_path: &Path, _mode: u32) -> io::Result<()> {
    Ok(())
}

pub(crate) fn socket_file_at(_path: &Path) -> io::Result<Option<(u64, u64)>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn lock_folder(_folder: &Path) -> Option<()> {
    None
}
