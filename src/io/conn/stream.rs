//! The socket of one connection, as Tokio watches it.
//!
//! Not Tokio's `TcpStream`: that one is not told of TCP's urgent data, at whose mark a receive stops although more is
//! there, and it knows no other family of sockets.

use socket2::Socket;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::task::{Context, Poll};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A connected (or connecting) stream socket. It never blocks.
#[derive(Debug)]
pub struct Stream(AsyncFd<Socket>);

/// Has Tokio watch `socket`. In the runtime's context.
pub(crate) fn watch(socket: Socket, interest: Interest) -> io::Result<AsyncFd<Socket>> {
    // SAFETY: the socket owns its descriptor, whose number stays the same until the socket is dropped, and `AsyncFd` stops
    // watching before it drops it. No safe call has Tokio watch a socket for urgent data.
    Ok(unsafe { AsyncFd::register_with_interest(socket, interest) }?)
}

/// What Tokio is asked to watch for.
fn interest() -> Interest {
    let both = Interest::READABLE | Interest::WRITABLE;
    #[cfg(target_os = "linux")]
    let both = both | Interest::PRIORITY;
    both
}

impl Stream {
    /// Watches `socket`, which must not block. In the runtime's context.
    pub fn new(socket: Socket) -> io::Result<Self> {
        watch(socket, interest()).map(Self)
    }

    /// The socket itself.
    pub fn socket(&self) -> &Socket {
        self.0.get_ref()
    }

    /// The socket, which Tokio watches no more.
    pub(crate) fn into_socket(self) -> Socket {
        self.0.into_inner()
    }

    /// The own address.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.socket().local_addr().ok()?.as_socket()
    }

    /// The peer's address.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.socket().peer_addr().ok()?.as_socket()
    }

    /// Ready when a receive may give something, as far as Tokio knows.
    pub(crate) fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        self.0.poll_read_ready(context).map(drop)
    }

    /// Ready when the kernel may have room, as far as Tokio knows.
    pub(crate) fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        self.0.poll_write_ready(context).map(drop)
    }

    /// Receives by `receive`, if Tokio knows of something. WouldBlock of it clears that knowledge.
    pub(crate) fn try_read<R>(&self, receive: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.0.try_io(Interest::READABLE, |_| receive())
    }

    /// Sends by `send`, if Tokio knows of room. WouldBlock of it clears that knowledge.
    pub(crate) fn try_write<R>(&self, send: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.0.try_io(Interest::WRITABLE, |_| send())
    }

    /// Whether there may be urgent data, so that less than asked for is not all that is there. No system call.
    pub(crate) fn may_be_urgent(&self) -> bool {
        #[cfg(target_os = "linux")]
        return self.0.try_io(Interest::PRIORITY, |_| Ok(())).is_ok();
        // Elsewhere Tokio does not tell.
        #[cfg(not(target_os = "linux"))]
        true
    }

    /// A receive found nothing left: what was urgent has been passed.
    pub(crate) fn not_urgent(&self) {
        #[cfg(target_os = "linux")]
        let _ = self.0.try_io(Interest::PRIORITY, |_| {
            Err::<(), _>(io::ErrorKind::WouldBlock.into())
        });
    }

    /// Waits for an error. Linux tells errors by a readiness of their own.
    pub(crate) async fn failed(&self) {
        // An error to wait with is none to tell.
        let _ = self.0.ready(Interest::ERROR).await;
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket().as_fd()
    }
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        self.socket().as_raw_fd()
    }
}
