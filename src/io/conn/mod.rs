//! One connection, as the pump and its task share it.
//!
//! | file | what it is |
//! |---|---|
//! | `link.rs` | what both sides see of it: flags, counters, timeouts |
//! | `flush.rs` | sends what was staged on many |
//! | `control.rs` | what the pump asks of it, which calls its task |
//! | `outbox.rs`, `token.rs`, `mark.rs`, `transmit.rs` | what waits to be sent; who may send; who is to be flushed; one call that sends |
//! | `task.rs`, `deadline.rs`, `linger.rs` | its task, that task's timeouts, its end |
//! | `wire.rs`, `stream.rs` | where it receives and sends; its socket: TCP or Unix |
//! | `ends.rs` | the addresses of both ends |
//! | `loan.rs` | memory of Python's objects, lent for large messages |

pub(crate) mod control;
pub(crate) mod deadline;
pub(crate) mod ends;
pub mod flush;
pub(crate) mod linger;
pub mod link;
pub mod loan;
pub mod mark;
pub mod outbox;
pub mod stream;
pub(crate) mod task;
pub mod token;
pub(crate) mod transmit;
pub mod wire;
