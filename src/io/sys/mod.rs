//! System calls that neither Tokio nor socket2 offers in the way they are needed here, and what differs by platform.
//!
//! They take any socket and know nothing of connections.
//!
//! | file | what it is |
//! |---|---|
//! | `transfer.rs` | receiving and sending, and looking what there is to receive |
//! | `tcp.rs` | what the kernel knows of a TCP connection; resets; ports |
//! | `watched.rs` | a socket as Tokio watches it |
//! | `address.rs`, `socket_address.rs` | the address of one end; those of a socket and its peer |
//! | `zone_index.rs` | a network interface's number by its name |
//! | `pipe.rs` | two ends, one of which wakes who polls the other |
//! | `interest.rs` | what somebody wants to know of a descriptor |
//! | `platform/` | what differs by platform: the only place that asks which one it is |
//! | `faults.rs` | the faults that tests inject into `transfer.rs` |

pub mod address;
pub mod faults;
pub mod interest;
pub(crate) mod pipe;
pub(crate) mod platform;
pub(crate) mod socket_address;
pub(crate) mod tcp;
pub(crate) mod transfer;
pub mod watched;
pub mod zone_index;
