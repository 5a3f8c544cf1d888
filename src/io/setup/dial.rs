//! One attempt at one address.

use crate::io::conn::stream::Stream;
use crate::io::conn::wire::Wire;
use crate::io::setup::options::SocketOptions;
use crate::io::sys::address::Address;
use crate::io::sys::platform::c;
use crate::io::sys::tcp;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

/// An established connection and the addresses of its ends.
#[derive(Debug)]
pub struct Connected {
    /// The connection.
    pub wire: Wire,
    /// The other end, which is not always the address that was asked for: 0.0.0.0 stands for another.
    pub peer: Address,
    /// This end.
    pub own: Address,
}

/// What the attempts at one host have in common.
#[derive(Debug, Default)]
pub struct Setup {
    /// The own address to connect from.
    pub local: Option<SocketAddr>,
    /// Set before connecting.
    pub options: SocketOptions,
    /// The app's own socket, the only one to connect; None: each attempt makes one.
    pub given: Option<Given>,
    /// Sent before anything else, by the one that succeeds.
    pub preface: Box<[u8]>,
}

/// A socket of the app's.
#[derive(Debug)]
pub struct Given {
    /// None while an attempt has it.
    socket: Option<Socket>,
}

impl From<Socket> for Given {
    fn from(socket: Socket) -> Self {
        Self {
            socket: Some(socket),
        }
    }
}

impl Setup {
    fn socket(&mut self, address: SocketAddr) -> io::Result<Socket> {
        let Some(given) = &mut self.given else {
            return Socket::new(
                Domain::for_address(address),
                Type::STREAM,
                Some(Protocol::TCP),
            );
        };
        let lost = || io::Error::from_raw_os_error(c::EBADF);
        given.socket.take().ok_or_else(lost)
    }

    /// An attempt has failed: the next one needs the app's socket again.
    fn take_back(&mut self, socket: Socket) {
        if let Some(given) = &mut self.given {
            tcp::forget_connection(&socket);
            given.socket = Some(socket);
        }
    }
}

/// A socket that is connecting.
#[derive(Debug)]
pub struct Dial {
    wire: Wire,
    address: SocketAddr,
}

impl Dial {
    /// Asks the kernel to connect. In the runtime's context.
    pub fn begin(address: SocketAddr, setup: &mut Setup) -> io::Result<Self> {
        let socket = setup.socket(address)?;
        if let Err(error) = connect(&socket, address, setup) {
            setup.take_back(socket);
            return Err(error);
        }
        let wire = Wire::plain(Stream::Tcp(socket))?;
        Ok(Self { wire, address })
    }

    /// It has failed.
    pub fn give_up(self, setup: &mut Setup) {
        setup.take_back(self.wire.into_socket());
    }

    /// Ready when the kernel has decided, as far as Tokio knows.
    pub fn poll(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.wire.poll_write_ready(context));
        Poll::Ready(self.wire.take_error()?.map_or(Ok(()), Err))
    }

    /// What the kernel has decided, although Tokio may not know yet; None: nothing.
    pub fn ask_kernel(&self) -> Option<io::Result<()>> {
        match self.wire.take_error() {
            Ok(None) => Address::peer(self.wire.socket()).is_ok().then_some(Ok(())),
            Ok(Some(error)) | Err(error) => Some(Err(error)),
        }
    }

    /// The connection, which is there.
    pub fn finish(self) -> io::Result<Connected> {
        let gone = |_| io::Error::from_raw_os_error(c::ENOTCONN);
        let own = Address::own(self.wire.socket()).map_err(gone)?;
        // A peer that is gone again is told by receiving.
        let peer = Address::peer(self.wire.socket()).unwrap_or(self.address.into());
        // A connection of a free port to itself (simultaneous open on loopback) is no server's answer.
        if own == peer {
            return Err(io::Error::from_raw_os_error(c::ECONNREFUSED));
        }
        Ok(Connected {
            wire: self.wire,
            peer,
            own,
        })
    }
}

fn connect(socket: &Socket, address: SocketAddr, setup: &Setup) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    setup.options.set(socket)?;
    if let Some(local) = setup.local {
        bind(socket, local)?;
    }
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(c::EINPROGRESS) => Err(error),
        _ => Ok(()),
    }
}

/// Binds to the own address. Where the port is any, it is chosen when connecting, so that one port can serve connections
/// to several peers; a port that was asked for may have an old connection in TIME_WAIT.
fn bind(socket: &Socket, local: SocketAddr) -> io::Result<()> {
    if local.port() == 0 {
        tcp::choose_port_late(socket);
    } else {
        socket.set_reuse_address(true)?;
    }
    socket.bind(&local.into())
}
