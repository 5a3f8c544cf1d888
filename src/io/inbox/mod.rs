//! Towards the pump: what waits for it, and how much may.
//!
//! | file | what it is |
//! |---|---|
//! | `queue.rs` | the event queue: one lock |
//! | `arena.rs` | where the queue keeps received bytes |
//! | `flow_control.rs` | how many received bytes of one connection wait for Python |

pub mod arena;
pub mod flow_control;
pub mod queue;
