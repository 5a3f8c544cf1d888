//! The Python objects of a loop that are no sockets.
//!
//! | file | what it is |
//! |---|---|
//! | `server.rs` | `TcpServer` |
//! | `timer.rs`, `idler.rs`, `poller.rs` | `Timer`; `Idler`; `Poller` |
//! | `lookup.rs` | a `dns_lookup` that is under way |
//! | `proxy_header.rs`, `ends.rs` | `ProxyHeader`; what ends when a callback of it has raised |

pub(crate) mod ends;
pub(crate) mod idler;
pub(crate) mod lookup;
pub(crate) mod poller;
pub(crate) mod proxy_header;
pub(crate) mod server;
pub(crate) mod timer;
