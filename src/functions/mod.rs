//! The functional forms of the API, as cl-async has them.
//!
//! | file | what it is |
//! |---|---|
//! | `connect.rs`, `adopt.rs` | a new socket: connecting, or with a connection that was made elsewhere |
//! | `pipe.rs` | the same over Unix sockets |
//! | `serve.rs` | a server |
//! | `calls.rs` | calls on sockets, servers and timers |
//! | `make.rs`, `given.rs` | what they have in common; sockets of the app's own |

pub(crate) mod adopt;
pub(crate) mod calls;
pub(crate) mod connect;
pub(crate) mod given;
pub(crate) mod make;
pub(crate) mod pipe;
pub(crate) mod serve;
