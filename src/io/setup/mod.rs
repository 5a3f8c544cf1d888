//! From a name or an address to a connection or a listener.
//!
//! | file | what it is |
//! |---|---|
//! | `connect.rs`, `race.rs`, `dial.rs` | an attempt: all of it, several addresses, one |
//! | `resolve.rs`, `lookup.rs` | names to addresses and back; lookups of the app's |
//! | `getaddrinfo.rs`, `resolver_threads.rs`, `hosts.rs` | the system's resolver; who waits for it; what it asks no server for |
//! | `bind.rs`, `adopt.rs` | listening sockets: own ones, and those from outside |
//! | `listener.rs` | one server, as the pump and its accept loops share it |
//! | `accept.rs`, `acceptor.rs` | the accept loop; a listening socket, as Tokio watches it |
//! | `family.rs`, `options.rs` | families of addresses and socket options, which the app names by number |

pub(crate) mod accept;
pub(crate) mod acceptor;
pub mod adopt;
pub mod bind;
pub mod connect;
pub mod dial;
pub mod family;
pub mod getaddrinfo;
pub(crate) mod hosts;
pub mod listener;
pub mod lookup;
pub mod options;
pub(crate) mod race;
pub mod resolve;
pub(crate) mod resolver_threads;
