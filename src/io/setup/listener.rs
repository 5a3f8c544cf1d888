//! One server: what the pump and its accept loops share.

use crate::io::conn::link::Timeouts;
use crate::io::keys::Key;
use crate::io::proxy::policy::Policy;
use crate::io::setup::options::SocketOptions;
use crate::io::setup::refusals::Refusals;
use crate::io::setup::socket_file::SocketFile;
use crate::io::sync::Mutex;
use crate::io::tls::config::ServerTls;
use socket2::Socket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;

/// How a server listens.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// None: the system's maximum.
    pub backlog: Option<i32>,
    /// SO_REUSEPORT.
    pub reuse_port: bool,
    /// AF_INET or AF_INET6: the only one to listen with; None: both.
    pub family: Option<i32>,
    /// Accepting pauses at this number of open connections.
    pub max_connections: Option<usize>,
    /// For each connection.
    pub timeouts: Timeouts,
    /// For the listening socket and each connection's.
    pub socket_options: SocketOptions,
    /// What it does with PROXY headers; None: it knows of none.
    pub proxy: Option<Policy>,
    /// TLS; None: plain.
    pub tls: Option<Arc<ServerTls>>,
    /// Accepting pauses at this number of handshakes under way; None: no limit.
    pub max_handshakes: Option<usize>,
}

/// One server as the pump and its accept tasks share it: one task for each address.
#[derive(Debug)]
pub struct Listener {
    /// Names it in events.
    pub key: Key,
    pub(crate) options: Options,
    /// Not ours to shut down: another process may listen on it.
    pub(crate) adopted: bool,
    /// The listening sockets; none once closed. Leaf lock.
    sockets: Mutex<Vec<Socket>>,
    closed: AtomicBool,
    open: AtomicUsize,
    /// Accepted, and not to be known to Python yet: a header or a handshake is to come.
    unannounced: AtomicUsize,
    /// Announced, and not yet known to Python.
    unserved: AtomicUsize,
    /// Since when there are such, or since Python last served one; as `Reactor::time`.
    unserved_since: AtomicU64,
    /// Those that were told last.
    pub(crate) refusals: Refusals,
    /// Of a Unix socket: goes when nothing is accepted any more. Leaf lock.
    file: Mutex<Option<SocketFile>>,
    /// For new connections. Leaf lock.
    tls: Mutex<Option<Arc<ServerTls>>>,
    /// Handshakes under way.
    handshakes: AtomicUsize,
    /// For each accept task. Leaf locks.
    tasks: Box<[Mutex<Option<Waker>>]>,
}

impl Listener {
    /// For these listening sockets, which have an accept task each.
    pub(crate) fn new(key: Key, sockets: Vec<Socket>, options: Options, adopted: bool) -> Self {
        Self {
            key,
            file: Mutex::new(None),
            tls: Mutex::new(options.tls.clone()),
            handshakes: AtomicUsize::new(0),
            options,
            adopted,
            tasks: sockets.iter().map(|_| Mutex::new(None)).collect(),
            sockets: Mutex::new(sockets),
            closed: AtomicBool::new(false),
            open: AtomicUsize::new(0),
            unannounced: AtomicUsize::new(0),
            unserved: AtomicUsize::new(0),
            unserved_since: AtomicU64::new(0),
            refusals: Refusals::default(),
        }
    }

    /// Nothing is accepted any more. The accept tasks are to be woken.
    pub(crate) fn shut(&self) {
        self.closed.store(true, Ordering::SeqCst);
        // While a socket is open, no other file has its number.
        self.drop_file();
        let sockets = std::mem::take(&mut *self.sockets.lock());
        for socket in sockets.iter().filter(|_| !self.adopted) {
            // Closing it would not stop it: the accept loop has a duplicate until it runs.
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
        drop(sockets);
    }

    /// Whether that was said.
    pub(crate) fn is_shut(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// The accept tasks that wait.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = Waker> {
        self.tasks.iter().filter_map(|task| task.lock().clone())
    }

    /// The accept task of this number waits.
    pub(crate) fn register(&self, at: usize, waker: &Waker) {
        *self.tasks[at].lock() = Some(waker.clone());
    }

    /// Whether a connection that ended has called it since.
    pub(crate) fn was_called(&self, at: usize) -> bool {
        self.tasks[at].lock().is_none()
    }

    /// The accept loops have ended: what is left of them here would keep the runtime's descriptors open.
    pub(crate) fn release_sockets(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.drop_file();
        let sockets = std::mem::take(&mut *self.sockets.lock());
        drop(sockets);
        for task in &self.tasks {
            let waker = task.lock().take();
            drop(waker);
        }
    }

    /// Connections that take a place now: also those that Python has closed, and that are not at their end.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Connections that Python does not know yet.
    pub fn unknown(&self) -> usize {
        self.unannounced.load(Ordering::SeqCst) + self.unserved.load(Ordering::SeqCst)
    }

    /// A connection was accepted.
    pub(crate) fn accepted(&self) {
        self.open.fetch_add(1, Ordering::SeqCst);
        self.unannounced.fetch_add(1, Ordering::SeqCst);
    }

    /// It has ended before Python was to know it.
    pub(crate) fn gave_up(&self) {
        self.unannounced.fetch_sub(1, Ordering::SeqCst);
        self.released();
    }

    /// Python is to get to know it.
    pub(crate) fn announced(&self, now: impl FnOnce() -> u64) {
        if self.unserved.load(Ordering::SeqCst) == 0 {
            self.unserved_since.store(now(), Ordering::Relaxed);
        }
        self.unserved.fetch_add(1, Ordering::SeqCst);
        self.unannounced.fetch_sub(1, Ordering::SeqCst);
    }

    /// Its file goes with it.
    pub fn keep_file(&self, file: Option<SocketFile>) {
        let old = std::mem::replace(&mut *self.file.lock(), file);
        drop(old);
        if self.is_shut() {
            self.drop_file();
        }
    }

    fn drop_file(&self) {
        let file = self.file.lock().take();
        // Not under the lock: it asks the system.
        drop(file);
    }

    /// What new connections begin with.
    pub(crate) fn tls(&self) -> Option<Arc<ServerTls>> {
        // A plain server stays one: no lock.
        self.options.tls.as_ref()?;
        self.tls.lock().clone()
    }

    /// New connections begin with `tls`; false: they are plain.
    pub fn reload_tls(&self, tls: Arc<ServerTls>) -> bool {
        if self.options.tls.is_none() {
            return false;
        }
        let old = self.tls.lock().replace(tls);
        drop(old);
        true
    }

    /// A handshake begins.
    pub(crate) fn handshake_begins(&self) {
        self.handshakes.fetch_add(1, Ordering::SeqCst);
    }

    /// One is over.
    pub(crate) fn handshake_ended(&self) {
        if self.handshakes.fetch_sub(1, Ordering::SeqCst) >= self.most_handshakes() {
            self.call();
        }
    }

    fn most_handshakes(&self) -> usize {
        self.options.max_handshakes.unwrap_or(usize::MAX)
    }

    /// Python has got to know a connection of those accepted.
    pub(crate) fn served_at(&self, now: impl FnOnce() -> u64) {
        // The last one's time is of no concern.
        if self.unserved.load(Ordering::SeqCst) > 1 {
            self.unserved_since.store(now(), Ordering::Relaxed);
        }
        self.unserved.fetch_sub(1, Ordering::SeqCst);
    }

    /// Since when accepted ones wait for Python, if any does.
    pub(crate) fn unserved_since(&self) -> Option<u64> {
        (self.unserved.load(Ordering::SeqCst) > 0)
            .then(|| self.unserved_since.load(Ordering::Relaxed))
    }

    /// A connection has ended: there is room for another, and a free descriptor. On the driving thread.
    pub(crate) fn released(&self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
        self.call();
    }

    /// Has the accept tasks look again. On the driving thread.
    fn call(&self) {
        for task in &self.tasks {
            let waker = task.lock().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        let handshakes = self.handshakes.load(Ordering::SeqCst);
        let most = self.options.max_connections;
        handshakes >= self.most_handshakes() || most.is_some_and(|most| self.open() >= most)
    }
}
