//! What the pump, the tasks and the driver of one loop share.

use crate::io::inbox::inbox::Inbox;
use crate::io::inbox::memory::Limits;
use crate::io::keys::Keys;
use crate::io::poll::descriptors::Descriptors;
use crate::io::runtime::commands::Commands;
use crate::io::runtime::reactor::Reactor;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::sync::Semaphore;

/// One for each loop.
pub struct Hub {
    /// Towards the pump.
    pub inbox: Inbox,
    /// Towards whoever drives.
    pub reactor: Reactor,
    /// Names, and what keeps the loop alive.
    pub keys: Keys,
    /// Connections that servers have refused for their PROXY header.
    pub proxy_headers_failed: AtomicU64,
    /// PROXY headers that may be long at one time: each is kept until it is whole.
    pub(crate) long_headers: Arc<Semaphore>,
    /// Handshakes that failed, of connections that Python never knew of.
    pub handshakes_failed: AtomicU64,
    /// What pollers watch.
    pub descriptors: Descriptors,
}

/// The most memory that they take is 64 KiB each.
const LONG_HEADERS: usize = 256;

impl Hub {
    /// A hub for a loop with these limits.
    pub fn new(limits: Limits) -> Arc<Self> {
        let commands = Arc::<Commands>::default();
        Arc::new(Self {
            inbox: Inbox::new(limits, commands.clone()),
            reactor: Reactor::new(commands),
            keys: Keys::default(),
            proxy_headers_failed: AtomicU64::new(0),
            long_headers: Arc::new(Semaphore::new(LONG_HEADERS)),
            handshakes_failed: AtomicU64::new(0),
            descriptors: Descriptors::default(),
        })
    }

    /// Drops what was left to do, when the loop has ended; nothing is taken on any more.
    pub(crate) fn clear(&self) {
        self.inbox.clear();
        self.reactor.clear();
        self.descriptors.clear();
    }
}
