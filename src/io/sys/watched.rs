//! A socket as Tokio watches it.
//!
//! Not Tokio's `TcpStream`: that one is not told of urgent data, at whose mark a receive stops although more is there, and it
//! knows no other family of sockets.

use crate::io::sys::platform;
use socket2::Socket;
use std::borrow::Borrow;
use std::io;
use std::task::{Context, Poll};
use tokio::io::Interest;

/// A socket `S`, which never blocks, and when it is ready.
#[derive(Debug)]
pub struct Watched<S: Borrow<Socket>>(platform::Watcher<S>);

impl<S: Borrow<Socket>> Watched<S> {
    /// For one that receives and sends. In the runtime's context.
    pub(crate) fn stream(socket: S) -> io::Result<Self> {
        let both = Interest::READABLE | Interest::WRITABLE;
        let interest = platform::URGENT.map_or(both, |urgent| both | urgent);
        platform::watch(socket, interest).map(Self)
    }

    /// For one that accepts. In the runtime's context.
    pub(crate) fn listener(socket: S) -> io::Result<Self> {
        platform::watch(socket, Interest::READABLE).map(Self)
    }

    /// The socket itself.
    pub(crate) fn get(&self) -> &S {
        &self.0.get_ref().0
    }

    /// The socket, which Tokio watches no more.
    pub(crate) fn into_inner(self) -> S {
        self.0.into_inner().0
    }

    /// Ready when a receive or an accept may give something, as far as Tokio knows.
    pub(crate) fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_read_ready(context).map_ok(drop)
    }

    /// Ready when the kernel may have room, as far as Tokio knows.
    pub(crate) fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_write_ready(context).map_ok(drop)
    }

    /// Receives or accepts by `read`, if Tokio knows of something. WouldBlock of it clears that knowledge.
    pub(crate) fn try_read<R>(&self, read: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.0.try_io(Interest::READABLE, |_| read())
    }

    /// Sends by `send`, if Tokio knows of room. WouldBlock of it clears that knowledge.
    pub(crate) fn try_write<R>(&self, send: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.0.try_io(Interest::WRITABLE, |_| send())
    }

    /// Whether there may be urgent data, so that less than asked for is not all that is there. No system call. Always where
    /// Tokio does not tell.
    pub(crate) fn may_be_urgent(&self) -> bool {
        platform::URGENT.is_none_or(|urgent| self.0.try_io(urgent, |_| Ok(())).is_ok())
    }

    /// A receive found nothing left: what was urgent has been passed.
    pub(crate) fn not_urgent(&self) {
        if let Some(urgent) = platform::URGENT {
            let _ = self
                .0
                .try_io(urgent, |_| Err::<(), _>(io::ErrorKind::WouldBlock.into()));
        }
    }

    /// Waits for an error. Linux tells errors by a readiness of their own.
    pub(crate) async fn failed(&self) {
        // An error to wait with is none to tell.
        let _ = self.0.ready(Interest::ERROR).await;
    }
}
