//! What the two ends agreed on.

use rustls::{CipherSuite, NamedGroup, ProtocolVersion};

/// See the module's page.
#[derive(Debug)]
pub struct Info {
    pub(crate) version: ProtocolVersion,
    pub(crate) cipher: CipherSuite,
    pub(crate) group: Option<NamedGroup>,
    /// The protocol that was agreed on by ALPN.
    pub alpn: Option<Box<[u8]>>,
    /// What the client asked for.
    pub server_name: Option<Box<str>>,
    /// The peer's certificates as it sent them, DER; its own first.
    pub chain: Box<[Box<[u8]>]>,
    /// An earlier session was taken up again.
    pub resumed: bool,
}

impl Info {
    /// As OpenSSL and Python's `ssl` say it.
    pub fn version(&self) -> &'static str {
        match self.version {
            ProtocolVersion::TLSv1_3 => "TLSv1.3",
            _ => "TLSv1.2",
        }
    }

    /// As IANA registers it.
    pub fn cipher(&self) -> String {
        format!("{:?}", self.cipher).replacen("TLS13_", "TLS_", 1)
    }

    /// As IANA registers it; None: a session that was resumed without an exchange.
    pub fn group(&self) -> Option<String> {
        self.group.map(|group| format!("{group:?}"))
    }
}
