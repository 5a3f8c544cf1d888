//! The addresses of both ends of a connection, in little memory.

use crate::io::proxy::header::Header;
use crate::io::sys::address::Address;
use std::net::{SocketAddr, SocketAddrV4};

/// Peer's and own address.
#[derive(Debug)]
pub(crate) enum Ends {
    V4(SocketAddrV4, SocketAddrV4),
    /// A pair of Unix sockets.
    Unnamed,
    /// Much longer, so that most connections need not pay for it.
    Other(Box<(Address, Address)>),
    /// What a balancer says, who has made the connection.
    Proxied(Box<Proxied>),
}

/// A connection that serves somebody else than who has made it.
#[derive(Debug)]
pub struct Proxied {
    /// Whom.
    pub header: Header,
    /// Its own peer, the balancer.
    pub(crate) peer: Address,
    pub(crate) own: Address,
}

impl Ends {
    pub(crate) fn new(peer: Address, own: Address) -> Self {
        match (peer.canonical(), own.canonical()) {
            (Address::Ip(SocketAddr::V4(peer)), Address::Ip(SocketAddr::V4(own))) => {
                Self::V4(peer, own)
            }
            (Address::Unnamed, Address::Unnamed) => Self::Unnamed,
            ends => Self::Other(Box::new(ends)),
        }
    }

    pub(crate) fn get(&self) -> (Address, Address) {
        let ip = |address: &SocketAddrV4| Address::Ip((*address).into());
        match self {
            Self::V4(peer, own) => (ip(peer), ip(own)),
            Self::Unnamed => (Address::Unnamed, Address::Unnamed),
            Self::Other(ends) => (**ends).clone(),
            Self::Proxied(proxied) => {
                let told = proxied.header.ends.clone();
                told.unwrap_or_else(|| (proxied.peer.clone(), proxied.own.clone()))
            }
        }
    }

    pub(crate) fn proxied(peer: Address, own: Address, header: Header) -> Self {
        Self::Proxied(Box::new(Proxied {
            header,
            peer: peer.canonical(),
            own: own.canonical(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_small_and_an_ipv4_address_in_ipv6_is_shown_as_itself() {
        assert_eq!(size_of::<Ends>(), 16);
        let address = |text: &str| Address::Ip(text.parse().unwrap());
        let ends = Ends::new(address("[::ffff:1.2.3.4]:5"), address("6.7.8.9:10"));
        assert!(matches!(ends, Ends::V4(..)));
        assert_eq!(ends.get(), (address("1.2.3.4:5"), address("6.7.8.9:10")));
        let scoped = || address("[fe80::1%7]:5");
        assert_eq!(Ends::new(scoped(), scoped()).get(), (scoped(), scoped()));
        let pair = || {
            (
                Address::Unnamed,
                Address::Path(std::path::Path::new("/a").into()),
            )
        };
        let (peer, own) = pair();
        assert_eq!(Ends::new(peer, own).get(), pair());
        let unnamed = Ends::new(Address::Unnamed, Address::Unnamed);
        assert_eq!(unnamed.get(), (Address::Unnamed, Address::Unnamed));
    }
}
