//! A datagram transport: a UDP or Unix socket of an asyncio protocol.
//!
//! Several datagrams are received by one system call, and what callbacks sent leaves by one at the turn's end.
//!
//! | file | what it is |
//! |---|---|
//! | `object.rs` | the class and what it holds |
//! | `methods.rs` | what Python calls |
//! | `address.rs` | addresses, to and from Python's |
//! | `send.rs`, `flush.rs`, `writable.rs` | what is sent; sending what waits; when the kernel takes more |
//! | `read.rs` | receiving |
//! | `end.rs`, `errors.rs` | how it ends; errors, of which most are no end |
//! | `rules.rs` | what differs between versions of asyncio |

pub(crate) mod address;
pub(crate) mod end;
pub(crate) mod errors;
pub(crate) mod flush;
pub(crate) mod methods;
pub(crate) mod object;
pub(crate) mod read;
pub(crate) mod rules;
pub(crate) mod send;
pub(crate) mod writable;
