//! The pump of the Rust tests: drives, takes what is queued, keeps what it was told. Every wait has a deadline.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code, missing_docs)]

use asynctcp::io::conn::link::Link;
use asynctcp::io::conn::link::Timeouts;
use asynctcp::io::conn::outcome::Flush;
use asynctcp::io::event::Event;
use asynctcp::io::failure::Failure;
use asynctcp::io::hub::Hub;
use asynctcp::io::inbox::memory::Limits;
use asynctcp::io::inbox::queue::Batch;
use asynctcp::io::keys::Key;
use asynctcp::io::runtime::driver::{Driver, PumpState, Wait};
use asynctcp::io::setup::bind;
use asynctcp::io::setup::connect;
use asynctcp::io::setup::connect::{Host, Target};
use asynctcp::io::setup::listener::{Listener, Options};
use std::collections::HashMap;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// No wait of a test takes longer; reached only when the test fails.
pub const PATIENCE: Duration = Duration::from_secs(20);
pub const LIMITS: Limits = Limits {
    read: 256 * 1024,
    memory: 64 << 20,
};

/// An event without its bytes.
#[derive(Debug)]
pub enum Told {
    Accepted(Key),
    Connected(Key),
    Data(Key, usize),
    Flushed(Key),
    Full(Key),
    Drained(Key),
    Eof(Key),
    Failed(Key, Failure),
    Gone(Key),
    AcceptFailed(Key, Failure),
}

impl Told {
    pub fn key(&self) -> Key {
        match self {
            Self::Accepted(key)
            | Self::Connected(key)
            | Self::Data(key, _)
            | Self::Flushed(key) => *key,
            Self::Full(key)
            | Self::Drained(key)
            | Self::Eof(key)
            | Self::Failed(key, _)
            | Self::Gone(key) => *key,
            Self::AcceptFailed(key, _) => *key,
        }
    }

    /// One word for each, to compare orders.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Accepted(_) => "accepted",
            Self::Connected(_) => "connected",
            Self::Data(..) => "data",
            Self::Flushed(_) => "flushed",
            Self::Full(_) => "full",
            Self::Drained(_) => "drained",
            Self::Eof(_) => "eof",
            Self::Failed(..) => "failed",
            Self::Gone(_) => "gone",
            Self::AcceptFailed(..) => "accept failed",
        }
    }
}

pub struct Pump {
    pub hub: Arc<Hub>,
    driver: Option<Driver>,
    pump: PumpState,
    batch: Batch<Event>,
    /// All that was told, in order.
    pub told: Vec<Told>,
    /// What each connection received.
    pub received: HashMap<Key, Vec<u8>>,
    pub links: HashMap<Key, Arc<Link>>,
    /// Python has not taken the bytes of this connection: its credit stays used.
    pub holding: Vec<Key>,
    /// The pump has not even taken them out of its batch: they count against all connections.
    pub stuck: bool,
    held: HashMap<Key, usize>,
    stuck_bytes: usize,
    /// Each connection echoes what it receives.
    pub echoes: bool,
}

impl Pump {
    pub fn new() -> Self {
        Self::with(LIMITS, 0)
    }

    pub fn with(limits: Limits, io_threads: usize) -> Self {
        let hub = Hub::new(limits);
        let driver = Some(Driver::start(hub.clone(), io_threads).unwrap());
        Self {
            hub,
            driver,
            pump: PumpState::default(),
            batch: Batch::default(),
            told: Vec::new(),
            received: HashMap::new(),
            links: HashMap::new(),
            holding: Vec::new(),
            stuck: false,
            held: HashMap::new(),
            stuck_bytes: 0,
            echoes: false,
        }
    }

    /// Drives and takes what is queued.
    pub fn turn(&mut self, wait: Wait) {
        self.hub.reactor.kick_helper();
        self.driver.as_ref().unwrap().drive(&mut self.pump, wait);
        self.collect();
    }

    /// Takes what is queued without driving, as while the helper drives.
    pub fn collect(&mut self) {
        let mut batch = std::mem::take(&mut self.batch);
        self.hub.inbox.queue.swap(&mut batch);
        for event in batch.urgent.drain(..).chain(batch.events.drain(..)) {
            self.handle(event, &batch.bytes);
        }
        batch.recycle();
        self.batch = batch;
    }

    fn handle(&mut self, event: Event, bytes: &asynctcp::io::inbox::arena::Arena) {
        let told = match event {
            Event::Accepted { listener, link } => {
                let key = link.key;
                listener.served(&self.hub);
                link.note_delivered(&self.hub);
                self.links.insert(key, link);
                Told::Accepted(key)
            }
            Event::Data(key, place) => {
                self.data(key, bytes.get(place));
                Told::Data(key, place.len())
            }
            Event::Connected(key) => {
                if let Some(link) = self.links.get(&key) {
                    link.note_delivered(&self.hub);
                }
                Told::Connected(key)
            }
            Event::Flushed(key) => Told::Flushed(key),
            Event::Level(key) => match self.links[&key].next_level_is_full() {
                true => Told::Full(key),
                false => Told::Drained(key),
            },
            Event::Eof(key) => Told::Eof(key),
            Event::Failed(key, failure) => Told::Failed(key, *failure),
            Event::TimedOut {
                key,
                epoch,
                timeout,
            } => {
                let link = self.links[&key].clone();
                if link.epoch() != epoch {
                    return;
                }
                if !timeout.holds(&link) {
                    link.restart_timeouts(&self.hub);
                    return;
                }
                let failure = timeout.failure();
                // As the pump does: what waits for a peer that takes nothing is dropped.
                link.close(&self.hub, matches!(failure, Failure::Stalled(_)));
                Told::Failed(key, failure)
            }
            Event::Gone(key) => Told::Gone(key),
            Event::AcceptFailed(key, failure) => Told::AcceptFailed(key, *failure),
            // Signals, nudges and lookups belong to no connection.
            _ => return,
        };
        self.told.push(told);
    }

    fn data(&mut self, key: Key, bytes: &[u8]) {
        self.received
            .entry(key)
            .or_default()
            .extend_from_slice(bytes);
        if self.stuck {
            self.stuck_bytes += bytes.len();
            *self.held.entry(key).or_default() += bytes.len();
            return;
        }
        self.hub.inbox.memory.taken(bytes.len());
        if self.holding.contains(&key) {
            *self.held.entry(key).or_default() += bytes.len();
        } else if let Some(link) = self.links.get(&key) {
            self.hub.inbox.memory.delivered(link, bytes.len());
        }
        if self.echoes {
            let link = self.links[&key].clone();
            self.write(&link, bytes);
        }
    }

    /// Python takes up to `bytes` of what was held back.
    pub fn deliver(&mut self, key: Key, bytes: usize) {
        let held = self.held.entry(key).or_default();
        let bytes = bytes.min(*held);
        *held -= bytes;
        self.hub.inbox.memory.delivered(&self.links[&key], bytes);
    }

    /// The pump's batch is taken at last.
    pub fn unstick(&mut self) {
        self.stuck = false;
        self.hub
            .inbox
            .memory
            .taken(std::mem::take(&mut self.stuck_bytes));
        for (key, held) in std::mem::take(&mut self.held) {
            self.hub.inbox.memory.delivered(&self.links[&key], held);
        }
    }

    /// Turns until `done`.
    pub fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            if Instant::now() > deadline {
                let all: Vec<_> = self
                    .told
                    .iter()
                    .map(|told| (told.word(), told.key()))
                    .collect();
                panic!(
                    "not within {PATIENCE:?}: {what}; last of {}: {:?}",
                    all.len(),
                    &all[all.len().saturating_sub(20)..]
                );
            }
            self.turn(Wait::Until(Instant::now() + Duration::from_millis(20)));
        }
    }

    /// Turns for `time`; for what must not happen.
    pub fn during(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.turn(Wait::Until(end));
        }
    }

    /// Turns until the key was told this.
    pub fn until_told(&mut self, key: Key, word: &str) {
        self.until(word, |pump| pump.was_told(key, word));
    }

    pub fn was_told(&self, key: Key, word: &str) -> bool {
        self.told
            .iter()
            .any(|told| told.key() == key && told.word() == word)
    }

    /// What a key was told, runs of data as one.
    pub fn story(&self, key: Key) -> Vec<&'static str> {
        let mut words: Vec<_> = self
            .told
            .iter()
            .filter(|told| told.key() == key)
            .map(Told::word)
            .collect();
        words.dedup_by(|one, other| one == other && *one == "data");
        words
    }

    pub fn failure(&self, key: Key) -> Option<&Failure> {
        self.told.iter().find_map(|told| match told {
            Told::Failed(of, failure) if *of == key => Some(failure),
            _ => None,
        })
    }

    pub fn received(&self, key: Key) -> &[u8] {
        self.received.get(&key).map_or(&[], Vec::as_slice)
    }

    pub fn listen(&self, options: Options) -> (Arc<Listener>, SocketAddr) {
        let socket = bind::bind_address("127.0.0.1:0".parse().unwrap(), &options).unwrap();
        let address = bind::address_of(&socket).unwrap();
        (
            Listener::start(
                &self.hub,
                self.hub.keys.new_key(),
                vec![socket],
                options,
                false,
            )
            .unwrap(),
            address,
        )
    }

    pub fn connect(&mut self, host: Host, timeouts: Timeouts) -> Arc<Link> {
        let link = Link::connecting(self.hub.keys.new_key(), timeouts);
        self.links.insert(link.key, link.clone());
        connect::start(
            &self.hub,
            &link,
            Target {
                host,
                setup: Default::default(),
                family: None,
                tls: None,
            },
        );
        link
    }

    /// An accepted connection and its peer.
    pub fn pair(&mut self, timeouts: Timeouts) -> (Arc<Link>, TcpStream) {
        let (listener, address) = self.listen(Options {
            timeouts,
            ..Options::default()
        });
        let pair = self.accept_one(address);
        listener.close(&self.hub);
        pair
    }

    /// One more connection to a listener of this pump.
    pub fn accept_one(&mut self, address: SocketAddr) -> (Arc<Link>, TcpStream) {
        let before = self.told.len();
        let peer = peer(address);
        let mut key = None;
        self.until("accepted", |pump| {
            key = pump.told[before..]
                .iter()
                .find(|told| told.word() == "accepted")
                .map(Told::key);
            key.is_some()
        });
        (self.links[&key.unwrap()].clone(), peer)
    }

    /// Stages and flushes, as the pump does at the end of a batch.
    pub fn write(&mut self, link: &Arc<Link>, bytes: &[u8]) -> Flush {
        link.stage(bytes);
        self.flush(link)
    }

    pub fn flush(&mut self, link: &Arc<Link>) -> Flush {
        let flush = link.flush(&self.hub);
        // What the kernel did not take is the task's: the helper may be driving it already.
        self.hub.reactor.kick_helper();
        if matches!(flush, Flush::Done) && link.wants_flushed() {
            self.told.push(Told::Flushed(link.key));
        }
        flush
    }

    /// Ends the runtime before the pump is dropped.
    pub fn stop(&mut self) {
        if let Some(driver) = self.driver.take() {
            driver.stop(std::mem::take(&mut self.pump));
        }
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stop();
        }
    }
}

/// A blocking socket that waits no longer than [`PATIENCE`] for anything.
pub fn peer(address: SocketAddr) -> TcpStream {
    let peer = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    peer.set_write_timeout(Some(PATIENCE)).unwrap();
    peer.set_nodelay(true).unwrap();
    peer
}

/// Closing it resets the connection.
pub fn reset(peer: TcpStream) {
    socket2::SockRef::from(&peer)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
}

pub fn read_timeout(time: Duration) -> Timeouts {
    Timeouts {
        read: Some(time),
        write: None,
    }
}

pub fn write_timeout(time: Duration) -> Timeouts {
    Timeouts {
        read: None,
        write: Some(time),
    }
}

/// Bytes that show where they belong: a period of 251, so that a shifted block is seen.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

/// Random numbers that are the same in each run (xorshift64*).
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound
    }
}

/// For tests that count what the whole process has: one at a time.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Descriptors that this process has open.
pub fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count() - 1
}

/// The threads of this process with this name, by id.
pub fn threads_named(name: &str) -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let mut ids: Vec<_> = tasks
        .map(|task| task.unwrap().file_name().into_string().unwrap())
        .collect();
    ids.retain(|id| {
        let path = format!("/proc/self/task/{id}/comm");
        // A thread may end in between.
        std::fs::read_to_string(path).is_ok_and(|comm| comm.trim_end() == name)
    });
    ids
}

/// Spins (never longer than [`PATIENCE`]) until `done`, without the pump.
pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_micros(200));
    }
}
