//! From a name or an address to a connection or a listener.
//!
//! | file | what it is |
//! |---|---|
//! | `connect.rs`, `race.rs`, `dial.rs` | an attempt: all of it, several addresses, one |
//! | `resolve.rs`, `lookup.rs` | names to addresses and back; lookups of the app's |
//! | `getaddrinfo.rs`, `resolver_threads.rs`, `hosts.rs` | the system's resolver; who waits for it; what it asks no server for |
//! | `bind.rs`, `adopt.rs` | listening sockets: own ones, and those from outside |
//! | `unix.rs`, `socket_file.rs` | Unix sockets: to bind one to a path, and to connect to one |
//! | `listening.rs`, `listener.rs` | where a server listens, and the start of that; one server, as the pump and its accept loops share it |
//! | `accept.rs`, `acceptor.rs` | the accept loop; a listening socket, as Tokio watches it |
//! | `server_guard.rs`, `refusals.rs` | what keeps a server known to the pump; how many refused connections are told |
//! | `preface.rs` | what is sent before anything else |
//! | `pending_connection.rs`, `proxy_wait.rs`, `handshake_wait.rs` | a connection before Python knows of it; while its PROXY header is awaited; its handshake |
//! | `family.rs`, `options.rs` | families of addresses and socket options, which the app names by number |

pub(crate) mod accept;
pub(crate) mod acceptor;
pub mod adopt;
pub mod bind;
pub mod connect;
pub mod dial;
pub mod family;
pub mod getaddrinfo;
pub(crate) mod handshake_wait;
pub(crate) mod hosts;
pub mod listener;
pub mod listening;
pub mod lookup;
pub mod options;
pub(crate) mod pending_connection;
pub(crate) mod preface;
pub(crate) mod proxy_wait;
pub(crate) mod race;
pub(crate) mod refusals;
pub mod resolve;
pub(crate) mod resolver_threads;
pub(crate) mod server_guard;
pub(crate) mod socket_file;
pub mod unix;
