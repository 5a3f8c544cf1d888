//! The PROXY protocol (HAProxy's `proxy-protocol.txt`): the client on whose behalf a balancer connects. No I/O.
//!
//! | file | what it is |
//! |---|---|
//! | `header.rs` | what a header says |
//! | `parse.rs`, `parsed.rs`, `write.rs` | from bytes to a header, whatever their version; what comes of it; and back |
//! | `text.rs`, `binary.rs` | versions 1 and 2, both ways |
//! | `tlv.rs`, `checksum.rs` | what version 2 says beside addresses; CRC32C |
//! | `fault.rs` | why a connection is refused |
//! | `network.rs`, `policy.rs` | who may send headers; what a server does with who comes |

pub(crate) mod binary;
pub(crate) mod checksum;
pub mod fault;
pub mod header;
pub mod network;
pub mod parse;
pub mod parsed;
pub mod policy;
pub(crate) mod text;
pub mod tlv;
pub mod write;
