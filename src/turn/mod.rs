//! One turn of a loop: flush, drive the runtime, take what is queued, call the callbacks.
//!
//! | file | what it is |
//! |---|---|
//! | `pump.rs` | the turn as a whole |
//! | `delivery.rs`, `in_hand.rs` | what it tells Python, in which order; the events that it has still to tell |
//! | `dispatch.rs`, `app_error.rs` | from an event to a callback; what that raises |
//! | `flusher.rs` | when it sends what callbacks wrote |
//! | `contention.rs` | whether another thread computes in Python |
//! | `foreign.rs` | a turn for a foreign loop |

pub(crate) mod app_error;
pub(crate) mod contention;
pub(crate) mod delivery;
pub(crate) mod dispatch;
pub(crate) mod flusher;
pub(crate) mod foreign;
pub(crate) mod in_hand;
pub(crate) mod pump;
