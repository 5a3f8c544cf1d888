//! Between Python and Rust: arguments in, conditions out. It knows no object of a loop.
//!
//! | file | what it is |
//! |---|---|
//! | `args/`, `coroutine.rs` | checks at the call; coroutines where callbacks are wanted |
//! | `condition.rs`, `os_error.rs` | from a failure to a condition class, or an `OSError` |
//! | `address.rs`, `proxy.rs`, `callback.rs` | addresses and PROXY headers as Python has them; the kinds of callbacks |
//! | `buffer_pool.rs`, `unfilled.rs`, `memory.rs` | objects whose memory the I/O side uses; a `bytes` object to receive into; MemoryError |
//! | `call.rs`, `call_app.rs` | calls of Python that may never return; of the app's functions |
//! | `exception.rs`, `interpreter.rs`, `fork.rs` | what they raise; who may import; forked children |
//! | `tls_context.rs`, `tls_info.rs` | what a `TlsConfig` stands for; what was agreed on |
//! | `injection.rs` | faults for Python's tests |

pub(crate) mod address;
pub(crate) mod args;
pub(crate) mod buffer_pool;
pub(crate) mod call;
pub(crate) mod call_app;
pub(crate) mod callback;
pub(crate) mod condition;
pub(crate) mod coroutine;
pub(crate) mod exception;
pub(crate) mod fork;
#[cfg(feature = "fault-injection")]
pub(crate) mod injection;
pub(crate) mod interpreter;
pub(crate) mod memory;
pub(crate) mod os_error;
pub(crate) mod proxy;
pub(crate) mod tls_context;
pub(crate) mod tls_info;
pub(crate) mod unfilled;
