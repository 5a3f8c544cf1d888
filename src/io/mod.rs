//! The I/O side: sockets, accept loop, connecting, name lookup and timeouts as Tokio tasks.
//!
//! Nothing below this module knows Python, so nothing that Tokio polls can take the interpreter's lock, hold a
//! Python object or wait for a callback. What happens here is told to the pump as [`Event`]s through one
//! [`queue::Queue`]; what the pump wants done comes as [`hub::Command`]s and as flags on a [`link::Link`].
//!
//! | file | what it is |
//! |---|---|
//! | `queue.rs`, `arena.rs` | the event queue: one lock, one arena for the bytes |
//! | `hub.rs`, `hub/` | what all tasks of one loop share: queue, commands, keys; limits; clock |
//! | `driver.rs`, `handover.rs`, `alarm.rs`, `threads.rs` | who runs the Tokio runtime, and when; its threads |
//! | `late.rs` | when threads of the runtime's own send what the pump is late to send |
//! | `crew.rs` | the connections' tasks, polled by whoever drives |
//! | `bell.rs` | the descriptor that a foreign loop watches |
//! | `stream.rs`, `options.rs` | a connection's socket, as Tokio watches it; options that the app names by number |
//! | `link.rs`, `outbox.rs`, `transmit.rs`, `token.rs`, `credit.rs`, `ends.rs` | one connection as seen by the pump and by its task |
//! | `loan.rs` | memory of Python's objects, lent for large messages |
//! | `task.rs`, `deadline.rs`, `linger.rs` | the one task of a connection, its timeouts, its end |
//! | `connect.rs`, `race.rs`, `dial.rs` | from a host to a connection: all of it, several addresses, one |
//! | `resolve.rs`, `hosts.rs`, `lookup.rs` | names; which of them no server is asked for; lookups of the app's |
//! | `bind.rs`, `listener.rs`, `acceptor.rs` | binding; the accept loop; a listening socket, as Tokio watches it |
//! | `failure.rs` | what can go wrong, before it becomes a condition |
//! | `sys.rs`, `faults.rs` | odd system calls; the faults that tests inject into sending and receiving |

mod acceptor;
pub mod alarm;
pub mod arena;
pub mod bell;
pub mod bind;
pub mod connect;
pub mod credit;
pub mod crew;
mod deadline;
pub mod dial;
pub mod driver;
mod ends;
pub mod failure;
pub mod faults;
pub mod handover;
mod hosts;
pub mod hub;
mod late;
mod linger;
pub mod link;
pub mod listener;
pub mod loan;
pub mod lookup;
pub mod mark;
pub mod options;
pub mod outbox;
pub mod queue;
mod race;
pub mod resolve;
pub mod stream;
pub mod sync;
mod sys;
mod task;
mod threads;
pub mod token;
mod transmit;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use failure::Failure;
pub use hub::{Hub, Key, Limits};
pub use link::Link;

/// A timeout of a connection that passed, and the bytes that there were by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeout {
    /// Nothing more than so many bytes was received.
    Read(u64),
    /// The peer acknowledged nothing more than so many bytes.
    Write(u64),
}

impl Timeout {
    /// Whether there was no progress since, as far as the kernel knows now.
    pub fn holds(self, link: &Link) -> bool {
        match self {
            Self::Read(received) => link.is_silent_since(received),
            Self::Write(acknowledged) => link.bytes_acknowledged() == acknowledged,
        }
    }

    /// What is told.
    pub fn failure(self) -> Failure {
        match self {
            Self::Read(_) => Failure::Timeout("read timeout: nothing was received"),
            Self::Write(_) => Failure::Stalled("write timeout: the peer took nothing"),
        }
    }
}

/// What the I/O side tells the pump.
///
/// Order for one key: `Accepted` or `Connected`, then `Data` and `Flushed` as they happen, one `End` at most,
/// `Gone` last.
#[derive(Debug)]
pub enum Event {
    /// A listener has a new connection; its `Link` is known to the pump from here on.
    Accepted {
        /// Who accepted it; to be told by [`listener::Listener::served`].
        listener: Arc<listener::Listener>,
        /// The new connection.
        link: Arc<Link>,
    },
    /// An outgoing connection is established.
    Connected(Key),
    /// Bytes came in.
    Data(Key, arena::Place),
    /// Bytes came in, into a room of the pump's.
    Filled {
        /// The connection.
        key: Key,
        /// Whose room it is.
        owner: loan::Owner,
        /// How many bytes.
        count: u32,
    },
    /// All that was written so far was handed to the kernel.
    Flushed(Key),
    /// What waits to be sent has crossed a mark; see [`Link::next_level_is_full`].
    Level(Key),
    /// The peer sent its FIN; nothing more will come in.
    Eof(Key),
    /// A lookup of the app's has its answer.
    Found(Key, Box<resolve::Found>),
    /// The connection (or the attempt, or a lookup) failed; nothing more comes but `Gone`.
    Failed(Key, Box<Failure>),
    /// A read or write timeout passed; void if the link's epoch has changed, or if there is progress since.
    TimedOut {
        /// The connection, which lives on until the pump closes it.
        key: Key,
        /// [`Link::epoch`] when it passed.
        epoch: u32,
        /// Which it was.
        timeout: Timeout,
    },
    /// The task ended and its descriptor is closed: the key may be used again.
    Gone(Key),
    /// Accepting failed; told at most once a second for the same cause.
    AcceptFailed(Key, Box<Failure>),
    /// A signal arrived for the process (Python's wake-up descriptor was written).
    Signal,
    /// The pump was asked to take a turn: another thread left something to do.
    Nudge,
}

/// Adds to a counter that one thread at a time adds to, but any may read: no exchange is needed.
pub fn add(counter: &AtomicU64, count: usize) {
    let now = counter.load(Ordering::Relaxed);
    counter.store(now + count as u64, Ordering::Relaxed);
}
