//! One connection as the pump and its task share it: flags, what waits to be sent, flow control.
//!
//! The pump (and, for writes, any other thread) changes flags and stages bytes; the task owns receiving and the end
//! of the connection. Sending belongs to whoever holds the [`SendToken`].

use crate::io::conn::ends::Ends;
use crate::io::conn::loan::Loan;
use crate::io::conn::mark::Mark;
use crate::io::conn::outbox::{Fin, Left, Marks, Outbox, Segments};
use crate::io::conn::token::SendToken;
use crate::io::conn::transmit::transmit;
use crate::io::conn::wire::Wire;
use crate::io::counter::add;
use crate::io::inbox::flow_control::FlowControl;
use crate::io::keys::Key;
use crate::io::sync::Mutex;
use crate::io::sys::address::Address;
use std::collections::TryReserveError;
use std::io;
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

/// The task has to go on sending, or to tell of a failed send.
const SEND_DUE: u32 = 128;

/// System calls that one flush makes before it lets others have their turn (1 MiB each at most).
const ROUNDS: usize = 4;

/// Read and write timeout; None: none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// Nothing received for that long.
    pub read: Option<Duration>,
    /// Bytes waiting and none taken by the kernel for that long.
    pub write: Option<Duration>,
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Staged {
    /// It waits for the next flush.
    Yes,
    /// The sending side was shut down before.
    Shut,
    /// The connection is broken; the bytes were dropped.
    Broken,
    /// There is no memory for a copy; nothing was staged.
    NoMemory,
}

/// What became of a flush.
#[derive(Debug)]
pub enum Flush {
    /// Nothing to do, or another thread is sending.
    Nothing,
    /// All that was written is with the kernel.
    Done,
    /// The kernel is full (or others wait for their turn); the task goes on when there is room.
    Blocked,
    /// The connection is broken; the task tells it after what was received.
    Failed,
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
    pub(crate) token: SendToken,
    control: AtomicU32,
    /// Leaf lock, taken by the pump, by writing threads and by the task; never across a system call.
    out: Mutex<Outbox>,
    /// The task that minds this connection; set by the task itself. Leaf lock.
    task: Mutex<Option<Waker>>,
    /// Set before [`TIMED`]; None: no timeouts. Leaf lock.
    timeouts: Mutex<Option<Box<Timeouts>>>,
    /// Once connected.
    ends: OnceLock<Ends>,
    /// The first error of a failed send, for the task to tell. Leaf lock.
    send_error: Mutex<Option<io::Error>>,
    received: AtomicU64,
    sent: AtomicU64,
    dirty: Mark,
    /// See [`Link::epoch`].
    epoch: AtomicU32,
    /// See [`Link::heard`].
    heard: AtomicU64,
    /// It has marks, and what was told last was the high one.
    marked: AtomicBool,
    told_full: AtomicBool,
    /// It is among those that wait because of the memory limit. Changed under the lock of their list.
    pub(crate) starves: AtomicBool,
    /// The pump wants to know when all was flushed.
    wants_flushed: AtomicBool,
}

impl Link {
    /// A connection that does not exist yet: what is written waits.
    pub fn connecting(key: Key, timeouts: Timeouts) -> Arc<Self> {
        let link = Self {
            key,
            flow: FlowControl::default(),
            in_streams: AtomicUsize::new(0),
            full_streams: AtomicU32::new(0),
            token: SendToken::taken(),
            control: AtomicU32::new(0),
            out: Mutex::new(Outbox::default()),
            task: Mutex::new(None),
            timeouts: Mutex::new(None),
            ends: OnceLock::new(),
            send_error: Mutex::new(None),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            dirty: Mark::default(),
            epoch: AtomicU32::new(0),
            heard: AtomicU64::new(0),
            marked: AtomicBool::new(false),
            told_full: AtomicBool::new(false),
            starves: AtomicBool::new(false),
            wants_flushed: AtomicBool::new(false),
        };
        link.set_timeouts(timeouts);
        Arc::new(link)
    }

    /// The connection exists from now on. The caller holds the token as the link's maker and gives it back here.
    pub(crate) fn attach(&self, stream: Arc<Wire>) {
        self.with_out(|out| {
            out.stream = Some(stream);
            // What was written before goes out by the task, which is about to run: it holds the token until then.
            out.blocked = true;
        });
        self.leave_sending();
    }

    /// The task has to send, or to tell of a failure. It must be polled after that.
    pub(crate) fn leave_sending(&self) {
        self.control.fetch_or(SEND_DUE, Ordering::AcqRel);
    }

    /// Whether that was said. What is left to be done, the task says again.
    pub(crate) fn take_sending(&self) -> bool {
        self.control() & SEND_DUE != 0
            && self.control.fetch_and(!SEND_DUE, Ordering::AcqRel) & SEND_DUE != 0
    }

    /// Its addresses are known from now on: before the connection is attached.
    pub(crate) fn set_ends(&self, peer: Address, own: Address) {
        let _ = self.ends.set(Ends::new(peer, own));
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

    /// The connection's stream while it is open.
    pub fn stream(&self) -> Option<Arc<Wire>> {
        self.out.lock().stream.clone()
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
        *self.task.lock() = Some(waker.clone());
    }

    pub(crate) fn forget_task(&self) {
        let waker = self.task.lock().take();
        drop(waker);
    }

    /// Polls the task again; cheap only on the driving thread, hence `Command::Wake`.
    pub(crate) fn wake_task(&self) {
        let waker = self.task.lock().clone();
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
    pub(crate) fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    /// Python has had what came, at `now`; true: for the first time, and a timeout waits for that.
    pub(crate) fn hear_at(&self, now: impl FnOnce() -> u64) -> bool {
        if !self.is_timed() {
            if self.heard() == 0 {
                self.heard.store(1, Ordering::Relaxed);
            }
            return false;
        }
        self.heard.swap(now().max(1), Ordering::Relaxed) == 0
    }

    fn is_timed(&self) -> bool {
        self.control() & TIMED != 0
    }

    /// Whether nothing has come in since `received` bytes had, as far as the kernel knows now.
    pub fn is_silent_since(&self, received: u64) -> bool {
        let Some(stream) = self.stream() else {
            return true;
        };
        self.bytes_received() == received && stream.is_silent()
    }

    /// The bytes that the peer has, as far as the kernel knows now.
    pub fn bytes_acknowledged(&self) -> u64 {
        let stream = self.stream();
        let waiting = stream.and_then(|stream| stream.unacknowledged().ok());
        self.bytes_sent()
            .saturating_sub(waiting.unwrap_or(0) as u64)
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
        *self.timeouts.lock() = timed.then(|| Box::new(timeouts));
        if timed {
            self.control.fetch_or(TIMED, Ordering::AcqRel);
        } else {
            self.control.fetch_and(!TIMED, Ordering::AcqRel);
        }
    }

    /// The timeouts as they are.
    pub fn timeouts(&self) -> Timeouts {
        self.timeouts.lock().as_deref().copied().unwrap_or_default()
    }

    /// Stages `bytes` for the next flush.
    pub fn stage(&self, bytes: &[u8]) -> Staged {
        self.stage_by(|staged| staged.push(bytes))
    }

    /// Stages lent bytes for the next flush.
    pub fn stage_loan(&self, loan: Loan) -> Staged {
        // Dropped only after the lock, if it is not taken.
        let mut loan = Some(loan);
        self.stage_by(|staged| {
            if let Some(loan) = loan.take() {
                staged.push_loan(loan);
            }
            Ok(())
        })
    }

    fn stage_by(&self, push: impl FnOnce(&mut Segments) -> Result<(), TryReserveError>) -> Staged {
        let mut out = self.out.lock();
        if out.fin != Fin::Open {
            return Staged::Shut;
        }
        if out.dead {
            return Staged::Broken;
        }
        if push(&mut out.staged).is_err() {
            return Staged::NoMemory;
        }
        out.owed = true;
        Staged::Yes
    }

    /// The loop has ended: what waits is let go, also of a connection that never was.
    pub fn abandon(&self) {
        let left = self.with_out(Outbox::kill);
        drop(left);
    }

    /// Bytes not yet taken by the kernel.
    pub fn write_buffer_size(&self) -> usize {
        self.out.lock().size()
    }

    /// Limits for [`Outbox::crossed`].
    pub fn set_marks(&self, marks: Marks) {
        self.out.lock().marks = Some(Box::new(marks));
        self.marked.store(true, Ordering::Relaxed);
    }

    /// See [`Outbox::crossed`].
    pub(crate) fn has_crossed_mark(&self) -> bool {
        self.marked.load(Ordering::Relaxed) && self.with_out(Outbox::crossed)
    }

    /// For each [`crate::io::event::Event::Level`]: whether it was the high mark. They are crossed by turns, so the order in which two threads
    /// queued them is of no concern.
    pub fn next_level_is_full(&self) -> bool {
        !self.told_full.fetch_xor(true, Ordering::Relaxed)
    }

    /// Whether the pump wants to know when all was flushed.
    pub fn set_wants_flushed(&self, wants: bool) {
        self.wants_flushed.store(wants, Ordering::Relaxed);
    }

    /// What [`Link::set_wants_flushed`] said.
    pub fn wants_flushed(&self) -> bool {
        self.wants_flushed.load(Ordering::Relaxed)
    }

    /// True if the caller shall put it on the list of links to flush: it is not there yet. After staging, and by one
    /// thread at a time.
    pub fn mark_dirty(&self) -> bool {
        self.dirty.set()
    }

    /// It was taken off the list and is about to be flushed.
    pub fn unmark_dirty(&self) {
        self.dirty.clear();
    }

    /// A FIN shall follow what was written. The caller flushes afterwards.
    pub fn shutdown_write(&self) {
        let mut out = self.out.lock();
        if out.fin == Fin::Open {
            out.fin = Fin::Wanted;
        }
    }

    /// Whether there is no connection yet and nothing to send over it: finishing the attempt would be in vain.
    pub fn is_pointless(&self) -> bool {
        let out = self.out.lock();
        out.stream.is_none() && out.size() == 0 && out.fin != Fin::Wanted
    }

    /// Whether nothing is left to send, so that a close need not wait.
    pub fn nothing_to_send(&self) -> bool {
        let out = self.out.lock();
        out.size() == 0 && out.fin != Fin::Wanted
    }

    /// Whether sending is over.
    pub fn is_broken(&self) -> bool {
        self.out.lock().dead
    }

    /// Whether another thread sends, or the task is to.
    pub fn is_being_sent(&self) -> bool {
        let out = self.out.lock();
        out.in_flight > 0 || out.blocked
    }

    /// Whether all that was written is with the kernel, now.
    pub fn is_flushed(&self) -> bool {
        let out = self.out.lock();
        out.size() == 0 && !out.owed
    }

    /// Bytes received so far.
    pub fn bytes_received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Bytes taken by the kernel so far.
    pub fn bytes_sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(crate) fn count_received(&self, bytes: usize) {
        // The task alone counts.
        add(&self.received, bytes);
    }

    pub(crate) fn with_out<R>(&self, look: impl FnOnce(&mut Outbox) -> R) -> R {
        look(&mut self.out.lock())
    }

    pub(crate) fn take_send_error(&self) -> Option<io::Error> {
        self.send_error.lock().take()
    }

    /// Sends what is staged, if nobody else is sending.
    pub(crate) fn try_send(&self) -> Flush {
        if self.token.try_take() {
            self.send_staged(transmit)
        } else {
            Flush::Nothing
        }
    }

    /// The token's holder sends until nothing is staged or the kernel is full. `send` is [`transmit`], or the task's
    /// version of it that keeps Tokio's readiness.
    pub(crate) fn send_staged(
        &self,
        send: impl Fn(&Wire, &mut Segments) -> io::Result<bool>,
    ) -> Flush {
        let mut flush = Flush::Nothing;
        for _ in 0..ROUNDS {
            let Some((mut segments, stream)) = self.token.next(&self.out, Outbox::take) else {
                return flush;
            };
            let before = segments.len();
            let result = send(&stream, &mut segments);
            // The token's holder alone counts.
            add(&self.sent, before - segments.len());
            match result {
                Ok(true) if segments.is_empty() => {
                    let mut written = false;
                    let left = self.token.next(&self.out, |out| out.sent_all(&mut written));
                    if written {
                        flush = Flush::Done;
                    }
                    match left {
                        None => return flush,
                        Some(Left::Bytes) => {}
                        Some(Left::Fin) => {
                            stream.finish();
                            // After a FIN nothing is staged; that all was sent must be told also in the last round.
                            if self.token.next(&self.out, Outbox::more).is_none() {
                                return flush;
                            }
                        }
                    }
                }
                Ok(room) => {
                    let left = self.with_out(|out| out.put_back(segments));
                    drop(left);
                    if !room {
                        break;
                    }
                }
                Err(error) => return self.send_failed(error),
            }
        }
        self.with_out(|out| out.blocked = true);
        self.leave_sending();
        Flush::Blocked
    }

    /// The token stays taken: nobody sends on this connection again.
    fn send_failed(&self, error: io::Error) -> Flush {
        let dropped = self.with_out(Outbox::drop_staged);
        drop(dropped);
        self.send_error.lock().get_or_insert(error);
        self.leave_sending();
        Flush::Failed
    }
}
