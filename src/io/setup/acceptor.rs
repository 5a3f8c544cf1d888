//! A listening socket, as Tokio watches it.

use crate::io::conn::stream::{Stream, watch};
use socket2::Socket;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// It never blocks.
#[derive(Debug)]
pub(crate) struct Acceptor(AsyncFd<Socket>);

impl Acceptor {
    /// Watches `socket`, which must not block. In the runtime's context.
    pub(crate) fn new(socket: Socket) -> io::Result<Self> {
        watch(socket, Interest::READABLE).map(Self)
    }

    /// The address that it is bound to.
    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        self.0.get_ref().local_addr().ok()?.as_socket()
    }

    /// The next connection, with the peer's address: asked again, the kernel has forgotten it if the peer has reset the
    /// connection before it was accepted.
    pub(crate) fn poll_accept(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<(Stream, SocketAddr)>> {
        loop {
            drop(ready!(self.0.poll_read_ready(context))?);
            match self.0.try_io(Interest::READABLE, accept) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok((socket, peer)) => {
                    return Poll::Ready(Stream::new(socket).map(|stream| (stream, peer)));
                }
            }
        }
    }
}

#[cfg(target_os = "linux")]
fn accept(listening: &Socket) -> io::Result<(Socket, SocketAddr)> {
    use rustix::net::{SocketFlags, acceptfrom_with};
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (accepted, peer) = loop {
        match acceptfrom_with(listening, flags) {
            Err(rustix::io::Errno::INTR) => {}
            result => break result?,
        }
    };
    let unknown = || io::Error::from_raw_os_error(libc::EAFNOSUPPORT);
    let peer = SocketAddr::try_from(peer.ok_or_else(unknown)?)?;
    Ok((accepted.into(), peer))
}

#[cfg(not(target_os = "linux"))]
fn accept(listening: &Socket) -> io::Result<(Socket, SocketAddr)> {
    let (accepted, peer) = listening.accept()?;
    accepted.set_nonblocking(true)?;
    let unknown = || io::Error::from_raw_os_error(libc::EAFNOSUPPORT);
    Ok((accepted, peer.as_socket().ok_or_else(unknown)?))
}
