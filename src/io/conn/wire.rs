//! Where a connection receives and sends: its stream, and the session (TLS) that is spoken over it, if one is.

use crate::io::conn::stream::Stream;
use crate::io::sys::platform;
use crate::io::sys::transfer;
use crate::io::sys::watched::Watched;
use crate::io::tls::shared::Tls;
use once_cell::race::OnceBox;
use socket2::Socket;
use std::io::{self, ErrorKind, IoSlice};
use std::mem::MaybeUninit;
use std::task::{Context, Poll};

/// See the module's page. Receiving and sending is the stream's: what a session makes of it is its own business.
#[derive(Debug)]
pub struct Wire {
    stream: Watched<Stream>,
    /// Set once, where a handshake is to come: from there on bytes of the stream are records.
    tls: OnceBox<Tls>,
}

impl Wire {
    /// In the runtime's context.
    pub(crate) fn plain(stream: Stream) -> io::Result<Self> {
        let stream = Watched::stream(stream)?;
        let tls = OnceBox::new();
        Ok(Self { stream, tls })
    }

    /// From now on `session` speaks over it. Once.
    pub(crate) fn secure(&self, session: Tls) {
        let _ = self.tls.set(Box::new(session));
    }

    /// The session, if there is one.
    #[inline(always)]
    pub(crate) fn tls(&self) -> Option<&Tls> {
        self.tls.get()
    }

    fn stream(&self) -> &Stream {
        self.stream.get()
    }

    /// The socket itself, whose bytes are nobody else's.
    pub fn socket(&self) -> &Socket {
        self.stream().socket()
    }

    /// See [`Stream::set_nodelay`].
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.stream().set_nodelay(on)
    }

    /// The socket, which Tokio watches no more.
    pub(crate) fn into_socket(self) -> Socket {
        self.stream.into_inner().into_socket()
    }

    /// Ready when a receive may give something, as far as Tokio knows.
    pub(crate) fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        // An error is the runtime's end, with which all tasks end.
        self.stream.poll_read_ready(context).map(drop)
    }

    /// Ready when there may be room to send, as far as Tokio knows.
    pub(crate) fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        self.stream.poll_write_ready(context).map(drop)
    }

    /// What one receive gives, if Tokio knows of something; 0: the peer sends no more. None: nothing is there.
    #[inline(always)]
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        receive(&self.stream, buffer.len(), || {
            transfer::receive(self.socket(), buffer)
        })
    }

    /// [`Wire::receive`] into memory that is not initialised.
    pub(crate) fn receive_into(&self, space: &mut [MaybeUninit<u8>]) -> io::Result<Option<usize>> {
        receive(&self.stream, space.len(), || {
            transfer::receive_into(self.socket(), space)
        })
    }

    /// [`Wire::receive`] although Tokio knows of nothing yet: it will tell of what is left.
    pub(crate) fn receive_unasked(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match transfer::receive(self.socket(), buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            result => result.map(Some),
        }
    }

    /// Sends what there is room for of `slices`, `offered` bytes.
    pub(crate) fn send(&self, slices: &[IoSlice<'_>], offered: usize) -> io::Result<usize> {
        transfer::send(self.socket(), slices, offered)
    }

    /// Sends by `send`, if Tokio knows of room. WouldBlock of it clears that knowledge.
    pub(crate) fn try_write<R>(&self, send: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.stream.try_write(send)
    }

    /// Looks for received data or an error without taking data: true if bytes, or the peer's end, wait.
    pub(crate) fn something_waits(&self) -> io::Result<bool> {
        transfer::something_waits(self.socket())
    }

    /// Whether nothing waits, not even an error. Takes nothing out of the kernel.
    pub(crate) fn is_silent(&self) -> bool {
        transfer::is_silent(self.socket())
    }

    /// Waits for an error.
    pub(crate) async fn failed(&self) {
        self.stream.failed().await;
    }

    /// The error that the kernel has to tell, if any.
    pub(crate) fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket().take_error()
    }

    /// See [`Stream::unacknowledged`].
    pub(crate) fn unacknowledged(&self) -> io::Result<usize> {
        self.stream().unacknowledged()
    }

    /// See [`Stream::ends_only`].
    pub(crate) fn ends_only(&self) -> bool {
        self.stream().ends_only()
    }

    /// What an error of receiving means: false: an end.
    pub(crate) fn end_of(&self, error: io::Error) -> io::Result<bool> {
        if error.kind() == ErrorKind::ConnectionReset && self.ends_only() {
            Ok(false)
        } else {
            Err(error)
        }
    }

    /// Process, user and group at the other end of a Unix socket.
    pub fn credentials(&self) -> Option<(i32, u32, u32)> {
        match self.stream() {
            Stream::Unix(socket) => platform::peer_credentials(socket).ok(),
            Stream::Tcp(_) => None,
        }
    }

    /// See [`Stream::finish`].
    pub(crate) fn finish(&self) {
        self.stream().finish();
    }

    /// See [`Stream::reset`].
    pub(crate) fn reset(&self) {
        self.stream().reset();
    }
}

/// What one call received, of at most `size` bytes; None: nothing is there.
#[inline(always)]
fn receive(
    stream: &Watched<Stream>,
    size: usize,
    receive: impl FnOnce() -> io::Result<usize>,
) -> io::Result<Option<usize>> {
    let mut count = None;
    let result = stream.try_read(|| {
        let got = receive()?;
        count = Some(got);
        // Edge-triggered: less than asked for means that nothing is left, unless it ends at an urgent mark. Saying
        // WouldBlock clears Tokio's readiness without a second system call that would only say the same.
        if got > 0 && got < size && !stream.may_be_urgent() {
            Err(ErrorKind::WouldBlock.into())
        } else {
            Ok(())
        }
    });
    match (count, result) {
        (None, Err(error)) if error.kind() != ErrorKind::WouldBlock => Err(error),
        (None, _) => {
            stream.not_urgent();
            Ok(None)
        }
        _ => Ok(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wire_is_little_more_than_a_socket_that_tokio_watches() {
        let more = size_of::<usize>();
        assert_eq!(size_of::<Wire>(), size_of::<Watched<Socket>>() + more);
    }
}
