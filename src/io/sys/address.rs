//! The address of one end of a socket: IP and port, or what a Unix socket is bound to.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

/// See the module's page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// An address and a port.
    Ip(SocketAddr),
    /// The path of a Unix socket.
    Path(Box<Path>),
    /// The name of a Unix socket that is in no file system.
    Abstract(Box<[u8]>),
    /// A Unix socket that is bound to nothing, as clients and pairs are.
    Unnamed,
}

impl Address {
    /// None for a Unix socket's.
    pub fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Path(_) | Self::Abstract(_) | Self::Unnamed => None,
        }
    }

    /// An IPv4 address that a dual-stack socket shows as IPv6, as itself; others as they are.
    pub(crate) fn canonical(self) -> Self {
        match self {
            Self::Ip(address) => match address.ip().to_canonical() {
                ip if ip.is_ipv4() => Self::Ip(SocketAddr::new(ip, address.port())),
                // Kept whole: it may carry a scope id.
                _ => Self::Ip(address),
            },
            unix => unix,
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

/// Nothing for one without a name.
impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(formatter),
            Self::Path(path) => path.display().fmt(formatter),
            Self::Abstract(name) => write!(formatter, "@{}", name.escape_ascii()),
            Self::Unnamed => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_as_the_system_writes_it() {
        let ip = |text: &str| Address::from(text.parse::<SocketAddr>().unwrap());
        assert_eq!(ip("1.2.3.4:80").to_string(), "1.2.3.4:80");
        assert_eq!(ip("[::1]:80").to_string(), "[::1]:80");
        assert_eq!(Address::Path(Path::new("/a b").into()).to_string(), "/a b");
        assert_eq!(Address::Abstract((*b"a\0b").into()).to_string(), r"@a\x00b");
        assert_eq!(Address::Unnamed.to_string(), "");
    }
}
