//! Between Python and Rust: arguments in, conditions out.
//!
//! | file | what it is |
//! |---|---|
//! | `args.rs`, `coroutine.rs` | checks at the call; coroutines where callbacks are wanted |
//! | `condition.rs`, `os_error.rs` | from a failure to a condition class, or an `OSError` |
//! | `functions.rs`, `adopt.rs` | the functional forms of the API |
//! | `lender.rs` | objects whose memory the I/O side uses |
//! | `call.rs`, `interpreter.rs` | calls of Python that may never return; who may import |
//! | `injection.rs` | faults for Python's tests |

pub(crate) mod adopt;
pub(crate) mod args;
pub(crate) mod call;
pub(crate) mod condition;
pub(crate) mod coroutine;
pub(crate) mod functions;
#[cfg(feature = "fault-injection")]
pub(crate) mod injection;
pub(crate) mod interpreter;
pub(crate) mod lender;
pub(crate) mod os_error;
