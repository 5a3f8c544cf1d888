//! A listening socket, as Tokio watches it.

use crate::io::conn::stream::Stream;
use crate::io::conn::wire::Wire;
use crate::io::sys::address::Address;
use crate::io::sys::platform;
use crate::io::sys::watched::Watched;
use socket2::Socket;
use std::io;
use std::task::{Context, Poll, ready};

/// It never blocks.
#[derive(Debug)]
pub(crate) struct Acceptor(Watched<Socket>);

impl Acceptor {
    /// Watches `socket`, which must not block. In the runtime's context.
    pub(crate) fn new(socket: Socket) -> io::Result<Self> {
        Watched::listener(socket).map(Self)
    }

    /// The address that it is bound to.
    pub(crate) fn own_address(&self) -> io::Result<Address> {
        Address::own(self.0.get())
    }

    /// The next connection, with the peer's address: asked again, the kernel has forgotten it if the peer has reset the
    /// connection before it was accepted.
    pub(crate) fn poll_accept(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<(Wire, Address)>> {
        loop {
            ready!(self.0.poll_read_ready(context))?;
            match self.0.try_read(|| platform::accept(self.0.get())) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok((socket, peer)) => {
                    let wire = Wire::plain(Stream::of(socket, &peer));
                    return Poll::Ready(wire.map(|wire| (wire, peer)));
                }
            }
        }
    }
}
