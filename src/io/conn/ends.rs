//! The addresses of both ends of a connection.

use std::net::{SocketAddr, SocketAddrV4};

/// Peer's and own address.
#[derive(Debug)]
pub(crate) enum Ends {
    V4(SocketAddrV4, SocketAddrV4),
    /// Much longer, so that most connections need not pay for it.
    Other(Box<(SocketAddr, SocketAddr)>),
}

impl Ends {
    pub(crate) fn new(peer: SocketAddr, own: SocketAddr) -> Self {
        match (plain(peer), plain(own)) {
            (SocketAddr::V4(peer), SocketAddr::V4(own)) => Self::V4(peer, own),
            ends => Self::Other(Box::new(ends)),
        }
    }

    pub(crate) fn get(&self) -> (SocketAddr, SocketAddr) {
        match self {
            Self::V4(peer, own) => ((*peer).into(), (*own).into()),
            Self::Other(ends) => **ends,
        }
    }
}

/// An IPv4 address that a dual-stack socket shows as IPv6, as itself.
fn plain(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip if ip.is_ipv4() => SocketAddr::new(ip, address.port()),
        // Kept whole: it may carry a scope id.
        _ => address,
    }
}
