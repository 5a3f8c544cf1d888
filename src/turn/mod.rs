//! One turn of a loop: flush, drive the runtime, take what is queued, call the callbacks.
//!
//! | file | what it is |
//! |---|---|
//! | `pump.rs`, `policy.rs` | the turn as a whole; what differs between kinds of loops |
//! | `poll.rs` | its first part: what came is taken |
//! | `delivery.rs` | what it tells Python, in which order |
//! | `dispatch.rs`, `sink.rs`, `app_error.rs` | from an event to a callback; what consumes it; what that raises |
//! | `secure.rs` | what is told of TLS |
//! | `watching.rs` | callbacks of pollers and idlers |
//! | `tell.rs`, `undelivered.rs` | conditions for an `event_cb`; what waits until the app reads again |
//! | `flusher.rs` | when it sends what callbacks wrote |
//! | `contention.rs` | whether another thread computes in Python |
//! | `share.rs` | gives way to threads that wait for the interpreter's lock |
//! | `foreign.rs` | a turn for a foreign loop |

pub(crate) mod app_error;
pub(crate) mod contention;
pub(crate) mod delivery;
pub(crate) mod dispatch;
pub(crate) mod flusher;
pub(crate) mod foreign;
pub(crate) mod policy;
pub(crate) mod poll;
pub(crate) mod pump;
pub(crate) mod secure;
pub(crate) mod share;
pub(crate) mod sink;
pub(crate) mod tell;
pub(crate) mod undelivered;
pub(crate) mod watching;
