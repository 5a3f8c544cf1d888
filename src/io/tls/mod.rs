//! TLS over a connection's stream, by rustls.
//!
//! | file | what it is |
//! |---|---|
//! | `config.rs` | what a client or a server was set to; `options.rs`: what the app said of it |
//! | `pem.rs` | certificates, keys and revocation lists as files hold them |
//! | `certificate.rs` | what a certificate says of itself |
//! | `trust.rs` | whom one trusts |
//! | `chain.rs` | whether a certificate leads to one of them |
//! | `verify.rs` | whether a peer's certificate is good, as rustls asks it |
//! | `sni.rs` | the name that a client asks for |
//! | `tickets.rs` | resumption on the server's side |
//! | `first_bytes.rs` | what a peer begins its handshake with |
//! | `session.rs` | one session's records: what rustls makes of bytes |
//! | `shared.rs` | a session as its connection's threads share it |
//! | `failure.rs`, `alert.rs`, `words.rs` | why it failed, in words |
//! | `info.rs` | what was agreed |

pub(crate) mod alert;
pub(crate) mod certificate;
pub(crate) mod chain;
pub mod config;
pub mod failure;
pub(crate) mod first_bytes;
pub mod info;
pub mod options;
pub(crate) mod pem;
pub(crate) mod session;
pub(crate) mod shared;
pub(crate) mod sni;
pub(crate) mod tickets;
pub(crate) mod trust;
pub(crate) mod verify;
pub(crate) mod words;
