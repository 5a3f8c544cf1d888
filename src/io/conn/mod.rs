//! One connection, as the pump and its task share it.
//!
//! | file | what it is |
//! |---|---|
//! | `link.rs` | what both sides see of it: flags, counters, timeouts |
//! | `flush.rs` | sends what was staged on many |
//! | `control.rs` | what the pump asks of it, which calls its task |
//! | `sender.rs`, `send_state.rs` | the sending side under its lock; what waits and who may send, as one state |
//! | `secured.rs` | what TLS adds to that |
//! | `segments.rs`, `levels.rs`, `outcome.rs` | the bytes that wait; the app's limits of them; what became of a write or a flush |
//! | `transmit.rs` | one call that sends |
//! | `handshake.rs`, `records.rs` | TLS: how it begins; what the task receives over it |
//! | `incoming.rs` | memory for the records that come |
//! | `upgrade.rs` | a connection that becomes one over TLS (STARTTLS) |
//! | `task.rs`, `aside.rs` | its task, and what that needs now and then |
//! | `deadline.rs`, `linger.rs` | its timeouts, its end |
//! | `wire.rs`, `stream.rs` | where it receives and sends; its socket: TCP or Unix |
//! | `ends.rs` | the addresses of both ends |
//! | `loan.rs` | memory of Python's objects, lent for large messages |

pub(crate) mod aside;
pub(crate) mod control;
pub(crate) mod deadline;
pub(crate) mod ends;
pub mod flush;
pub(crate) mod handshake;
pub(crate) mod incoming;
pub mod levels;
pub(crate) mod linger;
pub mod link;
pub mod loan;
pub mod outcome;
pub(crate) mod records;
pub(crate) mod secured;
pub mod segments;
pub(crate) mod send_state;
pub mod sender;
pub mod stream;
pub(crate) mod task;
pub(crate) mod transmit;
pub(crate) mod upgrade;
pub mod wire;
