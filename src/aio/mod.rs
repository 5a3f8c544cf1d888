//! The native half of `asynctcp.aio.Loop`, asyncio's event loop: what each message, call and timer passes through. What is not for
//! speed is asyncio's own code, which `Loop` inherits.
//!
//! | file | what it is |
//! |---|---|
//! | `install.rs` | what the module has of it |
//! | `gil.rs` | state that the interpreter's lock guards |
//! | `handle.rs`, `handle_type.rs` | a call that waits for its turn; as Python sees it |
//! | `timers.rs`, `descriptors.rs` | calls that wait for their time; for a descriptor |
//! | `socket_number.rs` | the descriptor of a socket object that may be closed behind its transport |
//! | `data.rs` | what a program gives to be sent |
//! | `futures.rs`, `tasks.rs` | what tasks wait for; making both |
//! | `state.rs` | one loop: its queue, timers and descriptors |
//! | `unsent.rs` | transports with something to send |
//! | `transport/`, `stream/`, `datagram/` | connections; as asyncio's streams; datagrams |
//! | `tls/` | TLS over connections |
//! | `watched.rs`, `fatal.rs`, `transports.rs` | what transports of either kind have in common; what ends one; those as a turn has them |
//! | `context.rs` | the context that their protocols run in |
//! | `clock.rs` | the loop's clock, which a program may replace |
//! | `guest.rs` | the loop of callbacks that lives in an asyncio loop |
//! | `turn.rs` | one turn: wait, take what is ready, call it |
//! | `object.rs`, `native_loop.rs`, `calls.rs` | the class that `Loop` inherits from; its methods; those that are called for each call |

pub(crate) mod calls;
pub(crate) mod clock;
pub(crate) mod context;
pub(crate) mod data;
pub(crate) mod datagram;
pub(crate) mod descriptors;
pub(crate) mod fatal;
pub(crate) mod futures;
pub(crate) mod gil;
pub(crate) mod guest;
pub(crate) mod handle;
pub(crate) mod handle_type;
pub(crate) mod install;
pub(crate) mod native_loop;
pub(crate) mod object;
pub(crate) mod socket_number;
pub(crate) mod state;
pub(crate) mod stream;
pub(crate) mod tasks;
pub(crate) mod timers;
pub(crate) mod tls;
pub(crate) mod transport;
pub(crate) mod transports;
pub(crate) mod turn;
pub(crate) mod unsent;
pub(crate) mod watched;
