//! What a server does with who comes.

use crate::io::proxy::network::Network;
use crate::io::sys::address::Address;
use std::sync::Arc;
use std::time::Duration;

/// What becomes of a connection that has just been accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Its header is awaited.
    Header,
    /// It is served as it is, whatever it begins with.
    Plain,
    /// It is refused.
    None,
}

/// See the module's page.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Who sends no header is refused; else it is served as it is.
    pub require: bool,
    /// Whose headers are believed; None: everybody's.
    pub from: Option<Arc<[Network]>>,
    /// For the whole header; None: no limit.
    pub timeout: Option<Duration>,
}

impl Policy {
    /// For a connection from `peer`. Who reaches a Unix socket may do so: its file says who.
    pub(crate) fn trust(&self, peer: &Address) -> Trust {
        let known = match (&self.from, peer.ip()) {
            (Some(from), Some(peer)) => from.iter().any(|network| network.has(peer.ip())),
            _ => true,
        };
        match (known, self.require) {
            (true, _) => Trust::Header,
            (false, false) => Trust::Plain,
            (false, true) => Trust::None,
        }
    }
}
