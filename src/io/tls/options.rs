//! What the app says of TLS, as plain data, and what can be wrong with that.

use std::time::Duration;

/// From a file, or as it is: PEM (RFC 7468).
#[derive(Debug, Clone)]
pub struct Source {
    /// What the app calls it, for messages: a path, or the argument's name.
    pub name: String,
    /// What it holds.
    pub pem: Vec<u8>,
}

/// A certificate and its key.
#[derive(Clone, Default)]
pub struct Identity {
    /// The chain, its own certificate first.
    pub chain: Option<Source>,
    /// None: in the chain's source.
    pub key: Option<Source>,
    /// For a key that is encrypted.
    pub password: Option<Vec<u8>>,
}

/// What both ends may say.
#[derive(Clone)]
pub struct Common {
    /// Who this end is.
    pub identity: Identity,
    /// Whom to trust; None: whom the system trusts.
    pub trusted: Option<Source>,
    /// Revocation lists.
    pub revoked: Option<Source>,
    /// Protocols by ALPN, the preferred one first.
    pub alpn: Vec<Vec<u8>>,
    /// TLS 1.2 is allowed; TLS 1.3 is.
    pub versions: (bool, bool),
    /// Sessions may be resumed.
    pub sessions: bool,
    /// How long a handshake may take.
    pub limit: Option<Duration>,
    /// An end without close_notify is an end.
    pub truncation: bool,
    /// Secrets are appended to the file that SSLKEYLOGFILE names.
    pub key_log: bool,
}

/// Whether clients are asked for a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCerts {
    /// They are not.
    None,
    /// They are, and may have none.
    Optional,
    /// Without one they are refused.
    Required,
}

/// What is wrong with what the app said.
#[derive(Debug)]
pub struct ConfigError(pub String);

impl ConfigError {
    pub(crate) fn about(source: &Source, what: impl std::fmt::Display) -> Self {
        Self(format!("{}: {what}", source.name))
    }
}
