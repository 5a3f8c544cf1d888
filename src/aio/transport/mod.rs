//! A stream transport: one connection of an asyncio protocol, TCP or Unix.
//!
//! Bytes are received and sent by the turn itself when the selector says so, and the protocol is called in the same step, as in
//! asyncio. What callbacks wrote is sent at the turn's end, so a head and a body leave together.
//!
//! | file | what it is |
//! |---|---|
//! | `object.rs` | the class and what it holds |
//! | `methods.rs` | what Python calls |
//! | `limits.rs` | the marks of flow control |
//! | `receiver.rs` | how its protocol takes what comes |
//! | `asyncio_streams.rs` | a short cut for asyncio's streams |
//! | `extra.rs` | what it knows of its two ends |
//! | `outgoing.rs` | bytes that wait to be sent |
//! | `flush.rs`, `write.rs`, `writable.rs` | sending what waits; what is written; when the kernel takes more |
//! | `end.rs` | how it ends |
//! | `debug.rs` | what asyncio's debug mode logs |
//! | `read.rs` | receiving: what the turn does with a connection that is ready |

pub(crate) mod asyncio_streams;
pub(crate) mod debug;
pub(crate) mod end;
pub(crate) mod extra;
pub(crate) mod flush;
pub(crate) mod limits;
pub(crate) mod methods;
pub(crate) mod object;
pub(crate) mod outgoing;
pub(crate) mod read;
pub(crate) mod receiver;
pub(crate) mod writable;
pub(crate) mod write;
