//! What a header says.

use crate::io::proxy::tlv::{self, Tls};
use crate::io::sys::address::Address;

/// Which form of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// A line of text.
    One,
    /// Binary.
    Two,
}

/// See the module's page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Its form.
    pub version: Version,
    /// The balancer speaks for itself (a health check).
    pub local: bool,
    /// Source and destination of the connection that it serves; None: the balancer does not say, or speaks for itself.
    pub ends: Option<(Address, Address)>,
    /// Types and values in their order; version 1 has none.
    pub tlvs: Vec<(u8, Box<[u8]>)>,
}

impl Header {
    /// The value of a type that comes once.
    pub fn value(&self, kind: u8) -> Option<&[u8]> {
        let found = self.tlvs.iter().rev().find(|(own, _)| *own == kind);
        found.map(|(_, value)| &**value)
    }

    /// The same for the next server, in the form of `version`.
    pub fn passed_on(&self, version: Version) -> Self {
        let mut tlvs = self.tlvs.clone();
        // They are about the bytes of the one that came.
        tlvs.retain(|(kind, _)| {
            version == Version::Two && !matches!(*kind, tlv::CRC32C | tlv::NOOP)
        });
        Self {
            version,
            tlvs,
            ..self.clone()
        }
    }

    /// How the client speaks to the balancer, if by TLS.
    pub fn tls(&self) -> Option<Tls<'_>> {
        tlv::tls(self.value(tlv::SSL)?).ok().flatten()
    }
}
