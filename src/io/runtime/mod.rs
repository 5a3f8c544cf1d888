//! Who drives the Tokio runtime, and when.
//!
//! | file | what it is |
//! |---|---|
//! | `driver.rs`, `handover.rs`, `alarm.rs` | the pump or its helper; the word that says who; the helper's clock |
//! | `scheduler.rs` | the connections' tasks, polled by whoever drives |
//! | `threads.rs` | threads of the runtime's own |
//! | `late_flush.rs` | when those send what the pump is late to send |
//! | `bell.rs` | the descriptor that a foreign loop watches |

pub mod alarm;
pub mod bell;
pub mod driver;
pub mod handover;
pub(crate) mod late_flush;
pub mod scheduler;
pub(crate) mod threads;
