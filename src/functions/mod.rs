//! The functions of the module, as cl-async has them; the objects that they make and use are in `socket/` and `objects/`.
//!
//! | file | what it is |
//! |---|---|
//! | `connect.rs`, `adopt.rs` | a new socket: connecting, or with a connection that was made elsewhere |
//! | `pipe.rs` | the same, and servers, over Unix sockets |
//! | `serve.rs` | servers |
//! | `sockets.rs` | what is done with a socket |
//! | `timers.rs`, `lookups.rs`, `polling.rs` | timers; lookups; pollers and idlers |
//! | `loops.rs` | the loop of this thread; what all of them share |
//! | `connect_arguments.rs`, `listen_arguments.rs` | what they are given to connect and to listen |
//! | `new_socket.rs`, `app_socket.rs` | what several have in common: a socket from checked arguments; `socket.socket`s of the app's |

pub(crate) mod adopt;
pub(crate) mod app_socket;
pub(crate) mod connect;
pub(crate) mod connect_arguments;
pub(crate) mod listen_arguments;
pub(crate) mod lookups;
pub(crate) mod loops;
pub(crate) mod new_socket;
pub(crate) mod pipe;
pub(crate) mod polling;
pub(crate) mod serve;
pub(crate) mod sockets;
pub(crate) mod timers;
