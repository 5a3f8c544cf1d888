//! A connected (or connecting) stream socket, and what its families do each in their own way.

use crate::io::sys::address::Address;
use crate::io::sys::tcp;
use socket2::Socket;
use std::borrow::Borrow;
use std::io;
use std::net::Shutdown;

/// It never blocks.
#[derive(Debug)]
pub enum Stream {
    /// A TCP connection's.
    Tcp(Socket),
    /// Between processes of one machine.
    Unix(Socket),
}

impl Stream {
    /// `own` is an address of either end.
    pub(crate) fn of(socket: Socket, own: &Address) -> Self {
        match own {
            Address::Ip(_) => Self::Tcp(socket),
            Address::Path(_) | Address::Abstract(_) | Address::Unnamed => Self::Unix(socket),
        }
    }

    /// The socket itself.
    pub(crate) fn socket(&self) -> &Socket {
        match self {
            Self::Tcp(socket) | Self::Unix(socket) => socket,
        }
    }

    /// The socket itself.
    pub(crate) fn into_socket(self) -> Socket {
        match self {
            Self::Tcp(socket) | Self::Unix(socket) => socket,
        }
    }

    /// What the peer does not have yet, in bytes: 0 if it has all. What the kernel took of a Unix socket's is there, and stays
    /// there after a close.
    pub(crate) fn unacknowledged(&self) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => tcp::unacknowledged(socket),
            Self::Unix(_) => Ok(0),
        }
    }

    /// Nothing more is sent, although copies of the descriptor may be open elsewhere.
    pub(crate) fn finish(&self) {
        // It fails if the connection is broken, which receiving tells.
        let _ = self.socket().shutdown(Shutdown::Write);
    }

    /// The coming close cuts the connection off, as does the call itself where the system can: a forked child that holds a
    /// copy of the descriptor would otherwise keep the connection open.
    pub(crate) fn reset(&self) {
        match self {
            Self::Tcp(socket) => tcp::reset(socket),
            // The peer is told of an end at the worst: there is no reset.
            Self::Unix(socket) => drop(socket.shutdown(Shutdown::Both)),
        }
    }

    /// Whether a peer that goes without having read all has only ended: the kernel calls that a reset of a Unix socket's.
    pub(crate) fn ends_only(&self) -> bool {
        matches!(self, Self::Unix(_))
    }

    /// Whether small segments are sent at once. A Unix socket holds none back.
    pub(crate) fn set_nodelay(&self, on: bool) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.set_tcp_nodelay(on),
            Self::Unix(_) => Ok(()),
        }
    }
}

impl Borrow<Socket> for Stream {
    fn borrow(&self) -> &Socket {
        self.socket()
    }
}
