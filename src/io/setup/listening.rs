//! From what a server was given to its listener.

use crate::io::failure::Failure;
use crate::io::hub::Hub;
use crate::io::keys::Key;
use crate::io::setup::adopt;
use crate::io::setup::bind;
use crate::io::setup::family::is_of;
use crate::io::setup::listener::{Listener, Options};
use crate::io::setup::unix::{self, FileOptions};
use crate::io::sys::address::Address;
use crate::io::sys::platform::RawFd;
use socket2::Socket;
use std::net::SocketAddr;
use std::sync::Arc;

/// Where a server listens. Port 0: any free one.
pub enum ListenAt {
    /// Any address, on that port.
    Any(u16),
    /// One address.
    Address(SocketAddr),
    /// All addresses of a name, on that port.
    Name(String, u16),
    /// A Unix socket's name.
    Unix(Address, FileOptions),
}

impl ListenAt {
    /// None: it has none.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Any(port) | Self::Name(_, port) => Some(*port),
            Self::Address(address) => Some(address.port()),
            Self::Unix(..) => None,
        }
    }
}

/// Where a server listens, and how.
pub struct Listening {
    /// Where.
    pub place: ListenAt,
    /// A descriptor that listens already, in their place.
    pub fd: Option<i32>,
    /// Of the listening sockets and their connections.
    pub options: Options,
}

impl Listening {
    /// Begins to listen; blocks while a name is looked up. Where it listens: at least one address.
    pub fn start(self, hub: &Arc<Hub>, key: Key) -> Result<(Arc<Listener>, Vec<Address>), Failure> {
        let options = self.options;
        let mut file = None;
        let sockets = match (self.fd, self.place) {
            (Some(fd), ListenAt::Unix(..)) => vec![adopt::adopt_unix(fd as RawFd, &options)?],
            (Some(fd), _) => vec![adopt::adopt(fd as RawFd, &options)?],
            (None, ListenAt::Unix(address, how)) => {
                let (socket, made) = unix::bind(&address, how, &options)?;
                file = made;
                vec![socket]
            }
            (None, ListenAt::Any(port)) => vec![bind::bind_any(port, &options)?],
            (None, ListenAt::Address(address)) => bind_address(address, &options)?,
            (None, ListenAt::Name(name, port)) => bind::bind_name(&name, port, &options)?,
        };
        let addresses = sockets.iter().map(Address::own).collect::<Result<_, _>>()?;
        let adopted = self.fd.is_some();
        let listener = Listener::start(hub, key, sockets, options, adopted)?;
        listener.keep_file(file);
        Ok((listener, addresses))
    }
}

fn bind_address(address: SocketAddr, options: &Options) -> Result<Vec<Socket>, Failure> {
    if is_of(address.ip(), options.family) {
        return Ok(vec![bind::bind_address(address, options)?]);
    }
    // The resolver refuses a literal of the other family with the right code.
    bind::bind_name(&address.ip().to_string(), address.port(), options)
}
