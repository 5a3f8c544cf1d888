//! The options that a `Socket` has methods for.

use crate::io::conn::wire::Wire;
use crate::io::failure::Failure;
use socket2::{SockRef, TcpKeepalive};

/// An option, with its value.
#[derive(Debug, Clone)]
pub enum TcpOption {
    /// TCP_NODELAY.
    NoDelay(bool),
    /// SO_KEEPALIVE, with its times where given.
    Keepalive(bool, Option<TcpKeepalive>),
}

impl TcpOption {
    /// Sets it.
    pub fn apply(&self, wire: &Wire) -> Result<(), Failure> {
        let socket = SockRef::from(wire.socket());
        let applied = match self {
            Self::NoDelay(on) => wire.set_nodelay(*on),
            Self::Keepalive(on, None) => socket.set_keepalive(*on),
            Self::Keepalive(on, Some(times)) => {
                // Setting the times switches it on.
                let timed = socket.set_tcp_keepalive(times);
                timed.and_then(|()| socket.set_keepalive(*on))
            }
        };
        Ok(applied?)
    }
}
