//! One turn of a loop: flush, drive the runtime, take what is queued, call the callbacks.
//!
//! | file | what it is |
//! |---|---|
//! | `pump.rs`, `policy.rs` | the turn as a whole; what differs between kinds of loops |
//! | `intake.rs` | its first part: what came is taken |
//! | `delivery.rs` | what it tells Python, in which order |
//! | `dispatcher.rs`, `sink.rs`, `app_error.rs` | calls callbacks; what consumes an event; what becomes of an exception |
//! | `socket_events.rs` | from an event of a socket, a server or a lookup to callbacks |
//! | `tls_events.rs` | what is told of TLS |
//! | `poller_events.rs` | callbacks of pollers and idlers |
//! | `tell.rs`, `undelivered.rs` | conditions for an `event_cb`; what waits until the app reads again |
//! | `flusher.rs` | when it sends what callbacks wrote |
//! | `contention.rs` | whether another thread computes in Python |
//! | `share.rs` | gives way to threads that wait for the interpreter's lock |
//! | `foreign.rs` | a turn for a foreign loop |

pub(crate) mod app_error;
pub(crate) mod contention;
pub(crate) mod delivery;
pub(crate) mod dispatcher;
pub(crate) mod flusher;
pub(crate) mod foreign;
pub(crate) mod intake;
pub(crate) mod policy;
pub(crate) mod poller_events;
pub(crate) mod pump;
pub(crate) mod share;
pub(crate) mod sink;
pub(crate) mod socket_events;
pub(crate) mod tell;
pub(crate) mod tls_events;
pub(crate) mod undelivered;
