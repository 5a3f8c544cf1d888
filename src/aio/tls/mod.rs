//! TLS over a connection: the transport that a protocol sees where `ssl=` was given.
//!
//! One machine, that of asyncio's `sslproto`, over two kinds of sessions: the `SSLObject` of an `ssl.SSLContext`, with all that the
//! context was set to, and rustls' by a `TlsConfig`. Below it is a stream transport, which hands it what was received without a call
//! of Python's, or any other transport (TLS over TLS).
//!
//! | file | what it is |
//! |---|---|
//! | `object.rs` | the class and what it holds |
//! | `methods.rs` | what Python calls |
//! | `session.rs` | either kind of session; `openssl.rs`, `rustls.rs`: each of them; `outcome.rs`: what they answer |
//! | `session_lock.rs` | who uses a session |
//! | `backlog.rs` | plain bytes that wait to be sealed |
//! | `incoming.rs` | receiving: what the turn does with a connection that is ready |
//! | `outgoing.rs` | what was written is sealed and sent |
//! | `machine.rs` | handshake, reading, end: what is done in which state |
//! | `told.rs` | what protocol, waiter and exception handler are told |

pub(crate) mod backlog;
pub(crate) mod incoming;
pub(crate) mod machine;
pub(crate) mod methods;
pub(crate) mod object;
pub(crate) mod openssl;
pub(crate) mod outcome;
pub(crate) mod outgoing;
pub(crate) mod rustls;
pub(crate) mod session;
pub(crate) mod session_lock;
pub(crate) mod told;
