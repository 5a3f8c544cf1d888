//! How much connections may receive: the limits of each and of all, and who waits because of the latter.

use crate::io::conn::link::Link;
use crate::io::runtime::commands::{Command, Commands};
use crate::io::sync::{AtomicBool, AtomicUsize, Mutex, Ordering};
use std::sync::Arc;

/// A connection may hold this much although the loop's memory limit is reached.
pub const LEAST_READ: usize = 4096;

/// Bounds on received bytes that wait for Python.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of one connection.
    pub read: usize,
    /// Bytes of all connections of the loop together.
    pub memory: usize,
}

/// One for each loop.
pub struct Memory {
    limits: Limits,
    /// Received bytes that wait in the queue or the pump's batch.
    unread: AtomicUsize,
    /// Received bytes that wait in the app's streams.
    in_streams: AtomicUsize,
    /// Connections that wait because of the memory limit, each once. Leaf lock.
    starved: Mutex<Vec<Arc<Link>>>,
    anyone_starved: AtomicBool,
    /// Where connections are woken.
    commands: Arc<Commands>,
}

impl Memory {
    pub(crate) fn new(limits: Limits, commands: Arc<Commands>) -> Self {
        Self {
            limits,
            unread: AtomicUsize::new(0),
            in_streams: AtomicUsize::new(0),
            starved: Mutex::new(Vec::new()),
            anyone_starved: AtomicBool::new(false),
            commands,
        }
    }

    /// Received bytes that wait for the pump.
    pub fn unread(&self) -> usize {
        self.unread.load(Ordering::Relaxed)
    }

    /// How much `link` may receive now; 0: it must wait. At its own limit [`Memory::delivered`] wakes it; at the loop's limit
    /// [`Memory::taken`], [`Memory::left_stream`] or [`Memory::delivered`].
    pub(crate) fn allowance(&self, link: &Arc<Link>) -> usize {
        if !link.flow.may_read(self.limits.read) {
            return 0;
        }
        let own = self.limits.read - link.flow.unread().min(self.limits.read);
        if let Some(allowed) = self.share(link, own) {
            return allowed;
        }
        {
            let mut starved = self.starved.lock();
            if !link.starves.swap(true, Ordering::Relaxed) {
                starved.push(link.clone());
            }
        }
        self.anyone_starved.store(true, Ordering::SeqCst);
        // The pump may have taken the last batch just before; then nobody else would come to wake us.
        let Some(allowed) = self.share(link, own) else {
            return 0;
        };
        self.feed(link);
        allowed
    }

    /// What the loop's limit leaves of the `own` bytes that the link's own does; None: `link` must wait.
    fn share(&self, link: &Link, own: usize) -> Option<usize> {
        match self.room() {
            0 if link.holds_nothing() => Some(own.min(LEAST_READ)),
            0 => None,
            room => Some(own.min(room)),
        }
    }

    /// `link` waits no longer because of the memory limit: it may read, or has ended.
    pub(crate) fn feed(&self, link: &Arc<Link>) {
        if link.starves.load(Ordering::Relaxed) {
            let mut starved = self.starved.lock();
            link.starves.store(false, Ordering::Relaxed);
            starved.retain(|other| !Arc::ptr_eq(other, link));
        }
    }

    /// `bytes` of `link` were queued.
    pub(crate) fn received(&self, link: &Link, bytes: usize) {
        link.flow.add(bytes);
        self.unread.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The pump took `bytes` out of its batch, or they did not come to be in one: they no longer count against other connections.
    pub fn taken(&self, bytes: usize) {
        self.unread.fetch_sub(bytes, Ordering::SeqCst);
        if self.anyone_starved.load(Ordering::SeqCst) && !self.is_full() {
            self.feed_starved();
        }
    }

    /// A stream of the app's holds `bytes` of `link`: they count as unread.
    pub fn entered_stream(&self, link: &Link, bytes: usize) {
        link.in_streams.fetch_add(bytes, Ordering::SeqCst);
        self.in_streams.fetch_add(bytes, Ordering::SeqCst);
    }

    /// The app read them, or let the stream go.
    pub fn left_stream(&self, link: &Arc<Link>, bytes: usize) {
        link.in_streams.fetch_sub(bytes, Ordering::SeqCst);
        self.in_streams.fetch_sub(bytes, Ordering::SeqCst);
        if !self.anyone_starved.load(Ordering::SeqCst) {
            return;
        }
        if !self.is_full() {
            self.feed_starved();
        } else if link.holds_nothing() {
            self.commands.post(Command::Wake(link.clone()));
        }
    }

    /// How much may be received until all that was, and was not read, comes to the memory limit.
    fn room(&self) -> usize {
        let streams = self.in_streams.load(Ordering::SeqCst);
        let unread = self.unread.load(Ordering::SeqCst) + streams;
        self.limits.memory.saturating_sub(unread)
    }

    /// Whether there is so little room that who waits for some goes on waiting: many small reads cost more.
    fn is_full(&self) -> bool {
        self.room() < LEAST_READ
    }

    /// Python has `bytes` of `link`: it may receive more.
    pub fn delivered(&self, link: &Arc<Link>, bytes: usize) {
        let resumes = link.flow.delivered(bytes, self.limits.read);
        // At the memory limit each connection may read again once it has nothing left to deliver.
        let starves = self.anyone_starved.load(Ordering::SeqCst) && link.holds_nothing();
        if resumes || starves {
            self.commands.post(Command::Wake(link.clone()));
        }
    }

    /// The loop has ended.
    pub(crate) fn forget(&self) {
        let starved = std::mem::take(&mut *self.starved.lock());
        drop(starved);
    }

    fn feed_starved(&self) {
        self.anyone_starved.store(false, Ordering::SeqCst);
        let starved = {
            let mut starved = self.starved.lock();
            starved
                .iter()
                .for_each(|link| link.starves.store(false, Ordering::Relaxed));
            std::mem::take(&mut *starved)
        };
        for link in starved {
            self.commands.post(Command::Wake(link));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::conn::link::{STREAM_FULL, Timeouts};
    use crate::io::hub::Hub;

    fn hub(memory: usize) -> Arc<Hub> {
        Hub::new(Limits {
            read: 100_000,
            memory,
        })
    }

    fn link(hub: &Hub) -> Arc<Link> {
        Link::connecting(hub.keys.new_key(), Timeouts::default())
    }

    #[test]
    fn a_connection_may_receive_what_its_limit_leaves() {
        let hub = hub(1 << 20);
        let link = link(&hub);
        assert_eq!(hub.inbox.memory.allowance(&link), 100_000);
        hub.inbox.memory.received(&link, 30_000);
        assert_eq!(hub.inbox.memory.allowance(&link), 70_000);
        hub.inbox.memory.received(&link, 70_000);
        assert_eq!(hub.inbox.memory.allowance(&link), 0);
    }

    #[test]
    fn at_the_memory_limit_who_has_nothing_unread_may_receive_a_little_and_others_wait() {
        let hub = hub(50_000);
        let (greedy, modest) = (link(&hub), link(&hub));
        hub.inbox.memory.received(&greedy, 50_000);
        assert_eq!(hub.inbox.memory.allowance(&greedy), 0);
        assert_eq!(hub.inbox.memory.allowance(&modest), LEAST_READ);
        assert_eq!(hub.inbox.memory.starved.lock().len(), 1);
        hub.inbox.memory.taken(50_000);
        assert!(hub.inbox.memory.starved.lock().is_empty());
        assert!(!hub.inbox.memory.commands.is_empty());
        assert_eq!(hub.inbox.memory.allowance(&greedy), 50_000);
    }

    #[test]
    fn what_streams_hold_counts_until_it_is_read() {
        let hub = hub(50_000);
        let (hoarder, other) = (link(&hub), link(&hub));
        hub.inbox.memory.received(&hoarder, 50_000);
        hub.inbox.memory.taken(50_000);
        hub.inbox.memory.delivered(&hoarder, 50_000);
        assert_eq!(hub.inbox.memory.allowance(&hoarder), 50_000);
        hub.inbox.memory.entered_stream(&hoarder, 50_000);
        assert_eq!(hub.inbox.memory.allowance(&hoarder), 0);
        assert_eq!(hub.inbox.memory.allowance(&other), LEAST_READ);
        hub.inbox.memory.left_stream(&hoarder, LEAST_READ - 1);
        assert!(hub.inbox.memory.commands.is_empty());
        hub.inbox.memory.left_stream(&hoarder, 2);
        assert!(hub.inbox.memory.starved.lock().is_empty());
        assert!(!hub.inbox.memory.commands.is_empty());
        assert_eq!(hub.inbox.memory.allowance(&hoarder), LEAST_READ + 1);
    }

    #[test]
    fn what_may_be_received_is_no_more_than_there_is_room_for() {
        let hub = hub(50_000);
        let (one, other) = (link(&hub), link(&hub));
        hub.inbox.memory.received(&one, 30_000);
        assert_eq!(hub.inbox.memory.allowance(&other), 20_000);
        hub.inbox.memory.received(&other, 19_999);
        assert_eq!(hub.inbox.memory.allowance(&other), 1);
        hub.inbox.memory.received(&other, 1);
        assert_eq!(hub.inbox.memory.allowance(&other), 0);
        assert_eq!(hub.inbox.memory.allowance(&link(&hub)), LEAST_READ);
    }

    #[test]
    fn at_the_memory_limit_who_has_read_its_streams_may_receive_a_little() {
        let hub = hub(50_000);
        let (hoarder, reader) = (link(&hub), link(&hub));
        hub.inbox.memory.entered_stream(&hoarder, 60_000);
        hub.inbox.memory.entered_stream(&reader, 2);
        assert_eq!(hub.inbox.memory.allowance(&reader), 0);
        hub.inbox.memory.left_stream(&reader, 1);
        assert!(hub.inbox.memory.commands.is_empty());
        hub.inbox.memory.left_stream(&reader, 1);
        assert!(!hub.inbox.memory.commands.is_empty());
        assert_eq!(hub.inbox.memory.allowance(&reader), LEAST_READ);
    }

    #[test]
    fn reading_goes_on_when_the_last_full_stream_has_room() {
        let hub = hub(1 << 20);
        let link = link(&hub);
        let paused = |pause| {
            link.pause_for_stream(&hub, pause);
            link.control() & STREAM_FULL != 0
        };
        assert!(paused(true));
        assert!(paused(true));
        assert!(paused(false));
        assert!(!paused(false));
    }

    #[test]
    fn a_connection_waits_once_however_often_it_asks_and_no_longer_when_it_has_ended() {
        let hub = hub(0);
        let link = link(&hub);
        hub.inbox.memory.received(&link, 1);
        assert!((0..10).all(|_| hub.inbox.memory.allowance(&link) == 0));
        assert_eq!(hub.inbox.memory.starved.lock().len(), 1);
        hub.inbox.memory.feed(&link);
        assert!(hub.inbox.memory.starved.lock().is_empty());
    }
}
