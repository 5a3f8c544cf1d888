//! Towards the pump: what waits for it, and how much may.
//!
//! | file | what it is |
//! |---|---|
//! | `inbox.rs` | all of it |
//! | `memory.rs` | how much may be received, and who waits for memory |
//! | `queue.rs` | the event queue: one lock |
//! | `arena.rs` | where the queue keeps received bytes |
//! | `flow_control.rs` | how many received bytes of one connection wait for Python |

pub mod arena;
pub mod flow_control;
// What the folder is named after.
#[allow(clippy::module_inception)]
pub mod inbox;
pub mod memory;
pub mod queue;
