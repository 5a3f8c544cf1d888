//! What the I/O side tells the pump.

use crate::io::conn::link::Link;
use crate::io::conn::loan;
use crate::io::failure::Failure;
use crate::io::inbox::arena;
use crate::io::keys::Key;
use crate::io::setup::getaddrinfo::Found;
use crate::io::setup::listener;
use crate::io::sys::address::Address;
use crate::io::sys::interest::Interest;
use std::sync::Arc;

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

/// A connection that a server has accepted and ended before Python knew of it.
#[derive(Debug)]
pub struct Refused {
    /// Who has made it.
    pub peer: Address,
    /// Why.
    pub failure: Failure,
}

/// What the I/O side tells the pump.
///
/// Order for one connection: `Accepted` or `Connected`; then `Data`, `Filled`, `Flushed`, `Level`, `TimedOut`, `Upgrading` and
/// after it `Secured` as they happen, but no `Data` and no `Filled` after `Eof`; then at most one `Failed`; `Gone` last. `Eof`
/// comes at most once. An attempt that fails has `Failed` and `Gone` only.
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
    Data(Key, arena::ByteRange),
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
    Found(Key, Box<Found>),
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
    /// A server has refused a connection; not all that it refuses are told.
    Refused(Key, Box<Refused>),
    /// The connection's task receives nothing more until the session is there that is to come; what was told before and
    /// was not delivered is that session's.
    Upgrading(Key),
    /// The handshake of that session is done.
    Secured(Key),
    /// A descriptor is ready; nothing more of it comes until it is asked for again.
    Polled(Key, Interest),
    /// A descriptor has not been ready for its timeout.
    Silent(Key),
    /// A signal arrived for the process (Python's wake-up descriptor was written).
    Signal,
    /// The pump was asked to take a turn: another thread left something to do.
    Nudge,
}

impl Event {
    /// The task of `key` failed.
    pub(crate) fn failed(key: Key, failure: Failure) -> Self {
        Self::Failed(key, Box::new(failure))
    }
}
