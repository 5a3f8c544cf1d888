//! From a name or an address to a connection or a listener.
//!
//! | file | what it is |
//! |---|---|
//! | `connect.rs`, `race.rs`, `dial.rs` | an attempt: all of it, several addresses, one |
//! | `resolve.rs`, `hosts.rs`, `lookup.rs` | names; which of them no server is asked for; lookups of the app's |
//! | `bind.rs`, `listener.rs` | binding; one server, as the pump and its accept loops share it |
//! | `accept.rs`, `acceptor.rs` | the accept loop; a listening socket, as Tokio watches it |
//! | `options.rs` | socket options that the app names by number |

pub(crate) mod accept;
pub(crate) mod acceptor;
pub mod bind;
pub mod connect;
pub mod dial;
pub(crate) mod hosts;
pub mod listener;
pub mod lookup;
pub mod options;
pub(crate) mod race;
pub mod resolve;
