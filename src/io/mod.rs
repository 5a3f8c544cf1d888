//! The I/O side: sockets, accept loop, connecting, name lookup and timeouts as Tokio tasks.
//!
//! Nothing below this module knows Python, so nothing that Tokio polls can take the interpreter's lock, hold a
//! Python object or wait for a callback. What happens here is told to the pump as [`event::Event`]s through one
//! [`inbox::queue::Queue`]; what the pump wants done comes as [`runtime::commands::Command`]s and as flags on a [`conn::link::Link`].
//!
//! | file or folder | what it is |
//! |---|---|
//! | `event.rs`, `failure.rs` | what is told; what can go wrong, before it becomes a condition |
//! | `inbox/` | towards the pump: the event queue, and how much may wait in it |
//! | `runtime/` | who drives the Tokio runtime, and when |
//! | `conn/` | one connection, as the pump and its task share it |
//! | `poll/` | descriptors of the app's |
//! | `proxy/` | the PROXY protocol: headers, and who may send them |
//! | `setup/` | from a name or an address to a connection or a listener |
//! | `sys/` | system calls, and the faults that tests inject into them |
//! | `tls/` | TLS over a connection's stream |
//! | `hub.rs` | what all tasks of one loop share |
//! | `keys.rs` | the names of what is open |
//! | `sync.rs`, `counter.rs`, `extend.rs` | locks and atomics as loom replaces them; counters; bytes that there may be no memory for |

pub mod conn;
pub mod counter;
pub mod event;
pub mod extend;
pub mod failure;
pub mod hub;
pub mod inbox;
pub mod keys;
pub mod poll;
pub mod proxy;
pub mod runtime;
pub mod setup;
pub mod sync;
pub mod sys;
pub mod tls;
