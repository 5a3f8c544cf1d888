//! One connection as the pump and its task share it: flags, what waits to be sent, flow control.
//!
//! The pump (and, for writes, any other thread) changes flags and stages bytes; the task owns receiving and the end
//! of the connection. The [`Sender`] says who sends.

use crate::io::conn::ends::{Ends, Proxied};
use crate::io::conn::levels::Marks;
use crate::io::conn::loan::Loan;
use crate::io::conn::outcome::Staged;
use crate::io::conn::sender::Sender;
use crate::io::conn::wire::Wire;
use crate::io::counter::add;
use crate::io::inbox::flow_control::FlowControl;
use crate::io::keys::Key;
use crate::io::proxy::header::Header;
use crate::io::sync::Mutex;
use crate::io::sys::address::Address;
use crate::io::tls::info::Info;
use crate::io::tls::shared::Tls;
use once_cell::race::OnceBox;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::Duration;

/// Drop everything and reset.
pub(crate) const FORCE: u32 = 1;
/// Send what waits, then end.
pub(crate) const CLOSING: u32 = 2;
/// The app disabled reading.
pub(crate) const READ_OFF: u32 = 4;
/// A stream of the app's holds enough.
pub(crate) const STREAM_FULL: u32 = 16;
/// Either holds reading up.
pub(crate) const NOT_READING: u32 = READ_OFF | STREAM_FULL;
/// The socket has a timeout.
pub(crate) const TIMED: u32 = 8;
/// The read timeout starts afresh.
pub(crate) const READ_AFRESH: u32 = 32;
/// The write timeout starts afresh.
pub(crate) const WRITE_AFRESH: u32 = 64;

/// The connection belongs to somebody else: the task ends without touching it.
pub(crate) const GIVEN_AWAY: u32 = 256;
/// The task has ended.
const ENDED: u32 = 512;
/// A session is to come: what is received is its.
pub(crate) const UPGRADING: u32 = 1024;

/// Read and write timeout; None: none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// Nothing received for that long.
    pub read: Option<Duration>,
    /// Bytes waiting and none taken by the kernel for that long.
    pub write: Option<Duration>,
}

/// See the module's page.
#[derive(Debug)]
pub struct Link {
    /// Names it in events.
    pub key: Key,
    /// Received and not delivered.
    pub(crate) flow: FlowControl,
    /// Delivered to the app's streams and not read from them.
    pub(crate) in_streams: AtomicUsize,
    /// How many of those hold enough.
    full_streams: AtomicU32,
    control: AtomicU32,
    pub(crate) sender: Sender<Wire>,
    /// Leaf lock.
    minder: Mutex<Minder>,
    /// Once connected.
    ends: OnceLock<Ends>,
    /// What was agreed on, once a handshake is done.
    tls: OnceBox<Info>,
    received: AtomicU64,
    /// See [`Link::epoch`].
    epoch: AtomicU32,
    /// See [`Link::delivered_at`].
    delivered_at: AtomicU64,
    /// It is among those that wait because of the memory limit. Changed under the lock of their list.
    pub(crate) starves: AtomicBool,
}

/// What concerns the task and is rarely looked at.
#[derive(Debug, Default)]
struct Minder {
    /// The task that minds this connection; set by the task itself.
    task: Option<Waker>,
    /// None: nothing of it.
    rare: Option<Box<Rare>>,
}

/// What few connections have, so that the others pay for a pointer only.
#[derive(Debug, Default)]
struct Rare {
    /// Set before [`TIMED`].
    timeouts: Timeouts,
    /// The session that is to come, once all is there that was received for it.
    upgrade: Option<Tls>,
}

impl Link {
    /// A connection that does not exist yet: what is written waits.
    pub fn connecting(key: Key, timeouts: Timeouts) -> Arc<Self> {
        let link = Self {
            key,
            flow: FlowControl::default(),
            in_streams: AtomicUsize::new(0),
            full_streams: AtomicU32::new(0),
            control: AtomicU32::new(0),
            sender: Sender::default(),
            minder: Mutex::default(),
            ends: OnceLock::new(),
            tls: OnceBox::new(),
            received: AtomicU64::new(0),
            epoch: AtomicU32::new(0),
            delivered_at: AtomicU64::new(0),
            starves: AtomicBool::new(false),
        };
        link.set_timeouts(timeouts);
        Arc::new(link)
    }

    /// Its addresses are known from now on: before the connection is attached.
    pub(crate) fn set_ends(&self, peer: Address, own: Address) {
        let _ = self.ends.set(Ends::new(peer, own));
    }

    /// The same, of a connection that a balancer has made for somebody else.
    pub(crate) fn set_proxied(&self, peer: Address, own: Address, header: Header) {
        let _ = self.ends.set(Ends::proxied(peer, own, header));
    }

    /// Whom it serves, if a balancer has made it.
    pub fn proxied(&self) -> Option<&Proxied> {
        match self.ends.get()? {
            Ends::Proxied(proxied) => Some(proxied),
            _ => None,
        }
    }

    /// Who has made the connection: the balancer, if there is one, else the peer.
    pub fn transport_peer(&self) -> Option<Address> {
        match self.proxied() {
            Some(proxied) => Some(proxied.peer.clone()),
            None => self.ends().map(|(peer, _)| peer),
        }
    }

    /// Peer and own address.
    pub fn ends(&self) -> Option<(Address, Address)> {
        self.ends.get().map(Ends::get)
    }

    /// The same, where they are IP addresses.
    pub fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        let (peer, own) = self.ends()?;
        Some((peer.ip()?, own.ip()?))
    }

    /// The connection's wire while it is open.
    pub fn wire(&self) -> Option<Arc<Wire>> {
        self.sender.wire()
    }

    /// What was agreed on with the peer; None: nothing, or not yet.
    pub fn tls(&self) -> Option<&Info> {
        self.tls.get()
    }

    /// A handshake is done.
    pub(crate) fn set_tls(&self, session: &Tls) {
        if let Some(info) = session.info() {
            let _ = self.tls.set(Box::new(info));
        }
    }

    /// Leaves the session to the task, which [`UPGRADING`] has told of it.
    pub(crate) fn leave_upgrade(&self, session: Tls) {
        let old = {
            let mut minder = self.minder.lock();
            let rare = minder.rare.get_or_insert_default();
            rare.upgrade.replace(session)
        };
        drop(old);
    }

    /// What was left by that.
    pub(crate) fn take_upgrade(&self) -> Option<Tls> {
        self.minder.lock().rare.as_mut()?.upgrade.take()
    }

    pub(crate) fn control(&self) -> u32 {
        self.control.load(Ordering::Acquire)
    }

    /// Which timeouts start afresh, once: [`READ_AFRESH`], [`WRITE_AFRESH`].
    pub(crate) fn take_afresh(&self) -> u32 {
        let both = READ_AFRESH | WRITE_AFRESH;
        if self.control() & both == 0 {
            return 0;
        }
        self.control.fetch_and(!both, Ordering::AcqRel) & both
    }

    pub(crate) fn register_task(&self, waker: &Waker) {
        self.minder.lock().task = Some(waker.clone());
    }

    pub(crate) fn forget_task(&self) {
        let waker = self.minder.lock().task.take();
        drop(waker);
    }

    /// Polls the task again; cheap only on the driving thread, hence `Command::Wake`.
    pub(crate) fn wake_task(&self) {
        let waker = self.minder.lock().task.clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn change_control(&self, set: u32, clear: u32) {
        let _ = self
            .control
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
                Some(now & !clear | set)
            });
    }

    /// Timeouts that were told under another number are void: the app changed what they depend on.
    pub fn epoch(&self) -> u32 {
        self.epoch.load(Ordering::SeqCst)
    }

    /// When Python last had something of this connection, for `Reactor::instant`; 0: it does not know of it yet.
    pub(crate) fn delivered_at(&self) -> u64 {
        self.delivered_at.load(Ordering::Relaxed)
    }

    /// Python has had what came, at `now`; true: for the first time, and a timeout waits for that.
    pub(crate) fn note_delivered_at(&self, now: impl FnOnce() -> u64) -> bool {
        if !self.is_timed() {
            if self.delivered_at() == 0 {
                self.delivered_at.store(1, Ordering::Relaxed);
            }
            return false;
        }
        self.delivered_at.swap(now().max(1), Ordering::Relaxed) == 0
    }

    fn is_timed(&self) -> bool {
        self.control() & TIMED != 0
    }

    /// Bytes that came from the peer, be they part of a record. Only to see whether there are more.
    pub fn bytes_heard(&self) -> u64 {
        self.wire().map_or(0, |wire| self.heard_on(&wire))
    }

    fn heard_on(&self, wire: &Wire) -> u64 {
        let records = wire.tls().map_or(0, Tls::received);
        self.bytes_received() + records
    }

    /// Whether nothing has come in since [`Link::bytes_heard`] was `heard`, as far as the kernel knows now.
    pub fn is_silent_since(&self, heard: u64) -> bool {
        let Some(wire) = self.wire() else {
            return true;
        };
        self.heard_on(&wire) == heard && wire.is_silent()
    }

    /// The bytes that the peer has, as far as the kernel knows now.
    pub fn bytes_acknowledged(&self) -> u64 {
        let Some(wire) = self.wire() else {
            return self.bytes_sent();
        };
        self.acknowledged_on(&wire, wire.unacknowledged().unwrap_or(0))
    }

    /// The bytes that the peer has, if all but `waiting` of those that the kernel took are.
    pub(crate) fn acknowledged_on(&self, wire: &Wire, waiting: usize) -> u64 {
        let sent = match wire.tls() {
            None => self.bytes_sent(),
            // What the kernel took is not what was written.
            Some(tls) => tls.taken(),
        };
        sent.saturating_sub(waiting as u64)
    }

    pub(crate) fn new_epoch(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// One more stream holds enough, or one less; how many others do.
    pub(crate) fn count_full_stream(&self, more: bool) -> u32 {
        if more {
            self.full_streams.fetch_add(1, Ordering::SeqCst)
        } else {
            self.full_streams.fetch_sub(1, Ordering::SeqCst) - 1
        }
    }

    /// Whether Python has all that was received, and has read it from its streams.
    pub(crate) fn holds_nothing(&self) -> bool {
        self.flow.unread() == 0 && self.in_streams.load(Ordering::SeqCst) == 0
    }

    pub(crate) fn set_ended(&self) {
        self.control.fetch_or(ENDED, Ordering::AcqRel);
    }

    /// Whether its task has ended.
    pub fn has_ended(&self) -> bool {
        self.control() & ENDED != 0
    }

    pub(crate) fn set_timeouts(&self, timeouts: Timeouts) {
        let timed = timeouts.read.is_some() || timeouts.write.is_some();
        {
            let mut minder = self.minder.lock();
            if timed || minder.rare.is_some() {
                minder.rare.get_or_insert_default().timeouts = timeouts;
            }
        }
        if timed {
            self.control.fetch_or(TIMED, Ordering::AcqRel);
        } else {
            self.control.fetch_and(!TIMED, Ordering::AcqRel);
        }
    }

    /// The timeouts as they are.
    pub fn timeouts(&self) -> Timeouts {
        let minder = self.minder.lock();
        minder
            .rare
            .as_ref()
            .map_or_else(Timeouts::default, |rare| rare.timeouts)
    }

    /// Stages `bytes` for the next flush.
    pub fn stage(&self, bytes: &[u8]) -> Staged {
        self.sender.stage(bytes)
    }

    /// Stages lent bytes for the next flush.
    pub fn stage_loan(&self, loan: Loan) -> Staged {
        self.sender.stage_loan(loan)
    }

    /// The loop has ended: what waits is let go, also of a connection that never was.
    pub fn abandon(&self) {
        self.sender.abandon();
    }

    /// Bytes not yet taken by the kernel.
    pub fn write_buffer_size(&self) -> usize {
        self.sender.size()
    }

    /// The app's limits of that.
    pub fn set_marks(&self, marks: Marks) {
        self.sender.set_marks(marks);
    }

    /// For each [`crate::io::event::Event::Level`]: whether it was the high mark.
    pub fn next_level_is_full(&self) -> bool {
        self.sender.next_level_is_full()
    }

    /// Whether the pump wants to know when all was flushed.
    pub fn set_wants_flushed(&self, wants: bool) {
        self.sender.set_wants_flushed(wants);
    }

    /// What [`Link::set_wants_flushed`] said.
    pub fn wants_flushed(&self) -> bool {
        self.sender.wants_flushed()
    }

    /// It is to be flushed although nothing was staged. True: the caller puts it on the list.
    pub fn mark_dirty(&self) -> bool {
        self.sender.list()
    }

    /// A FIN shall follow what was written. The caller flushes afterwards.
    pub fn shutdown_write(&self) {
        self.sender.shut_down();
    }

    /// Whether [`Link::shutdown_write`] was asked for: nothing more can be written.
    pub fn is_shut_down(&self) -> bool {
        self.sender.is_shut_down()
    }

    /// Whether there is no connection yet and nothing to send over it: finishing the attempt would be in vain.
    pub fn is_pointless(&self) -> bool {
        self.sender.is_pointless()
    }

    /// Whether nothing is left to send, so that a close need not wait.
    pub fn nothing_to_send(&self) -> bool {
        self.sender.is_all_sent()
    }

    /// Whether sending is over.
    pub fn is_broken(&self) -> bool {
        self.sender.is_dead()
    }

    /// Whether another thread sends, or the task is to.
    pub fn is_being_sent(&self) -> bool {
        self.sender.is_sending()
    }

    /// Whether all that was written is with the kernel, now, and the app may be told.
    pub fn may_tell_flushed(&self) -> bool {
        self.sender.may_tell_flushed()
    }

    /// Bytes received so far.
    pub fn bytes_received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Bytes taken by the kernel so far.
    pub fn bytes_sent(&self) -> u64 {
        self.sender.count()
    }

    pub(crate) fn count_received(&self, bytes: usize) {
        // The task alone counts.
        add(&self.received, bytes);
    }
}
