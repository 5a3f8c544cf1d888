//! The sending side of one connection: [`State`] under the lock that its threads share.
//!
//! Bytes are staged under the lock under which the sender looks whether any are left. Nothing is sent, and no memory
//! given back, under it.

use crate::io::conn::levels::{Levels, Marks};
use crate::io::conn::loan::Loan;
use crate::io::conn::outcome::{By, Flush, Offer, Sent, Staged};
use crate::io::conn::secured::Secured;
use crate::io::conn::segments::Segments;
use crate::io::conn::send_state::{APP, Fin, Next, State, TASK, Taken, Who};
use crate::io::sync::{AtomicBool, Mutex, Ordering};
use std::collections::TryReserveError;
use std::io;
use std::sync::Arc;

/// System calls of one sender before it lets others have their turn. Each is offered up to [`VECTORS`] segments: small writes,
/// joined up to 64 KiB, and lent bytes of any length.
///
/// [`VECTORS`]: crate::io::conn::segments::VECTORS
const ROUNDS: usize = 4;

/// See the module's page. `S` is what it is sent on.
#[derive(Debug)]
pub struct Sender<S> {
    /// Leaf lock, taken by the pump, by writing threads and by the task; never across a system call.
    state: Mutex<State<S>>,
    /// The task has to go on sending, or to tell of a failure, as the state says. Changed under the lock; the task looks
    /// at it in each poll without.
    due: AtomicBool,
    /// The app wants to know when all was flushed.
    wants_flushed: AtomicBool,
}

impl<S> Default for Sender<S> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State::new()),
            due: AtomicBool::new(false),
            wants_flushed: AtomicBool::new(false),
        }
    }
}

impl<S> Sender<S> {
    fn with<R>(&self, look: impl FnOnce(&mut State<S>) -> R) -> R {
        look(&mut self.state.lock())
    }

    /// Stages `bytes` for the next flush.
    pub fn stage(&self, bytes: &[u8]) -> Staged {
        self.stage_by(|staged| staged.push(bytes))
    }

    /// Stages lent bytes for the next flush.
    pub fn stage_loan(&self, loan: Loan) -> Staged {
        // Dropped only after the lock, if it is not taken.
        let mut loan = Some(loan);
        self.stage_by(|staged| staged.push_loan(&mut loan))
    }

    fn stage_by(&self, push: impl FnOnce(&mut Segments) -> Result<(), TryReserveError>) -> Staged {
        let mut state = self.state.lock();
        if state.fin != Fin::Open {
            return Staged::Shut;
        }
        if state.dead {
            return Staged::Broken;
        }
        if push(state.waiting()).is_err() {
            return Staged::NoMemory;
        }
        state.owed = true;
        Staged::Yes {
            list: !std::mem::replace(&mut state.listed, true),
        }
    }

    /// It is to be flushed for another reason than that something was staged. True: the caller puts it on the list.
    pub fn list(&self) -> bool {
        self.with(|state| !std::mem::replace(&mut state.listed, true))
    }

    /// A FIN shall follow what was written. The caller flushes afterwards.
    pub fn shut_down(&self) {
        self.with(|state| {
            if state.fin == Fin::Open {
                state.fin = Fin::Wanted;
            }
        });
    }

    /// Whether [`Sender::shut_down`] was asked for.
    pub fn is_shut_down(&self) -> bool {
        self.state.lock().fin != Fin::Open
    }

    /// The connection exists from now on. What was written before goes out by the task, which is about to run.
    pub fn attach(&self, wire: Arc<S>) {
        let mut state = self.state.lock();
        state.wire = Some(wire);
        state.who = Who::TheTask;
        self.show_due(&state);
    }

    /// From now on a session seals what is sent; `handshaking`: once its handshake is done, which [`Sender::handshake_done`] says.
    pub fn secure(&self, handshaking: bool) {
        // Made before the lock.
        let new = Box::<Secured>::default();
        self.with(|state| state.secure(new, handshaking));
    }

    /// The handshake is done. The caller flushes afterwards.
    pub fn handshake_done(&self) {
        self.with(State::handshake_done);
    }

    /// Whether all that was written before the handshake is with the kernel.
    pub fn may_handshake(&self) -> bool {
        self.with(|state| state.staged.is_empty() && state.in_flight == 0)
    }

    /// The session has something to say. The caller flushes afterwards.
    pub fn note_wants_write(&self) {
        self.with(|state| {
            if let Some(secured) = &mut state.secured {
                secured.wants_write = true;
            }
        });
    }

    /// Sends what is staged, unless another thread is at it. `transmit` makes one system call, which takes bytes off the
    /// front, and is told whether they are the last. `shut_down` sends the FIN.
    pub fn send(
        &self,
        by: By,
        transmit: impl Fn(&S, &mut Segments, bool) -> io::Result<Offer>,
        shut_down: impl Fn(&S),
    ) -> Sent {
        let mut sent = Sent::default();
        let Some(mut taken) = self.begin(by, &mut sent) else {
            return sent;
        };
        for round in 1..=ROUNDS {
            let before = taken.segments.len();
            let result = transmit(&taken.wire, &mut taken.segments, taken.last);
            let count = before - taken.segments.len();
            sent.count += count;
            let next = self.settle(count, result, &mut taken, round, &mut sent);
            if next == Next::Fin {
                shut_down(&taken.wire);
            }
            if next != Next::Send {
                break;
            }
        }
        taken.segments.recycle();
        sent
    }

    #[inline(always)]
    fn begin(&self, by: By, sent: &mut Sent) -> Option<Taken<S>> {
        let mut state = self.state.lock();
        let taken = state.begin(by);
        if taken.is_none() {
            sent.crossed = state.crossed();
        }
        if by == By::Task {
            self.show_due(&state);
        }
        taken
    }

    #[inline(always)]
    fn settle(
        &self,
        count: usize,
        result: io::Result<Offer>,
        taken: &mut Taken<S>,
        round: usize,
        sent: &mut Sent,
    ) -> Next {
        let mut state = self.state.lock();
        state.sent += count as u64;
        let rest = &mut taken.segments;
        let again = round < ROUNDS;
        let next = state.settle(result, rest, taken.last, again, &mut sent.flush);
        taken.last = state.is_last();
        if next != Next::Send {
            sent.crossed = state.crossed();
        }
        if matches!(sent.flush, Flush::Blocked | Flush::Failed) {
            self.show_due(&state);
        }
        next
    }

    fn show_due(&self, state: &State<S>) {
        let due = state.who == Who::TheTask || state.error.is_some();
        self.due.store(due, Ordering::Release);
    }

    /// Whether the task has to go on sending, or to tell of a failure. It is woken after it became so.
    pub fn is_due(&self) -> bool {
        self.due.load(Ordering::Acquire)
    }

    /// Whether it is left to the task, which waits for room.
    pub fn is_blocked(&self) -> bool {
        self.with(|state| state.who == Who::TheTask)
    }

    /// Whether bytes wait that the app could send: the kernel has no room, or a handshake is under way.
    pub fn is_held_up(&self) -> bool {
        self.with(|state| !state.off && (state.who == Who::TheTask || state.waits_for_handshake()))
    }

    /// Whether sending failed and [`Sender::take_error`] has not said so.
    pub fn has_error(&self) -> bool {
        self.is_due() && self.with(|state| state.error.is_some())
    }

    /// Why sending failed, once, if it is one of those.
    pub fn take_error(&self, of: impl Fn(&io::Error) -> bool) -> Option<io::Error> {
        if !self.is_due() {
            return None;
        }
        let mut state = self.state.lock();
        let error = state.error.take_if(|error| of(error));
        self.show_due(&state);
        error
    }

    /// The app disabled writing, or enabled it again. The caller flushes afterwards.
    pub fn set_off(&self, off: bool) {
        self.with(|state| {
            state.off = off;
            if !off {
                state.owed |= std::mem::take(&mut state.untold);
            }
        });
    }

    /// The app is done with it. `force`: what waits is dropped, before a flush that comes ahead of the task could send it.
    pub fn close(&self, force: bool) {
        let dropped = self.with(|state| {
            state.off = false;
            if !force {
                state.end_session();
            }
            let staged = if force {
                state.drop_staged()
            } else {
                Segments::default()
            };
            (staged, state.release(APP))
        });
        drop(dropped);
    }

    /// The task has ended. The app keeps the wire until it knows that, and has closed the connection.
    pub fn end(&self) {
        let dropped = self.with(|state| (state.drop_staged(), state.release(TASK)));
        drop(dropped);
    }

    /// The loop has ended: what waits is let go, also of a connection that never was.
    pub fn abandon(&self) {
        let dropped = self.with(|state| (state.drop_staged(), state.release(APP | TASK)));
        drop(dropped);
    }

    /// The wire while the connection is open.
    pub fn wire(&self) -> Option<Arc<S>> {
        self.with(|state| state.wire.clone())
    }

    /// Bytes not yet taken by the kernel.
    pub fn size(&self) -> usize {
        self.with(|state| state.size())
    }

    /// The app's bytes taken by the kernel so far.
    pub fn count(&self) -> u64 {
        self.with(|state| state.count())
    }

    /// Whether nothing is left to send, so that a close need not wait.
    pub fn is_all_sent(&self) -> bool {
        self.with(|state| state.is_all_sent())
    }

    /// Whether there is no wire yet and nothing to send over it.
    pub fn is_pointless(&self) -> bool {
        self.with(|state| state.wire.is_none() && state.is_all_sent())
    }

    /// Whether all that was written is with the kernel, now.
    pub fn is_flushed(&self) -> bool {
        self.with(|state| state.is_flushed())
    }

    /// Whether all that was written is with the kernel and may be told. While writing is off it is told of the flush that
    /// follows once it is on again.
    pub fn may_tell_flushed(&self) -> bool {
        self.with(|state| {
            let flushed = state.is_flushed();
            state.untold |= flushed && state.off;
            flushed && !state.off
        })
    }

    /// Whether sending is over.
    pub fn is_dead(&self) -> bool {
        self.with(|state| state.dead)
    }

    /// Whether another thread sends, or the task is to.
    pub fn is_sending(&self) -> bool {
        self.with(|state| state.in_flight > 0 || state.who == Who::TheTask)
    }

    /// The app's limits: [`Sent::crossed`] tells of them.
    pub fn set_marks(&self, marks: Marks) {
        // Made before the lock.
        let mut new = Some(Box::new(Levels::new(marks)));
        self.with(|state| match &mut state.levels {
            Some(levels) => levels.marks = marks,
            none => *none = new.take(),
        });
    }

    /// For each crossing that is told: whether it was that of the high mark.
    pub fn next_level_is_full(&self) -> bool {
        self.with(|state| {
            state
                .levels
                .as_mut()
                .is_some_and(|levels| levels.next_is_full())
        })
    }

    /// Whether the app wants to know when all was flushed.
    pub fn set_wants_flushed(&self, wants: bool) {
        self.wants_flushed.store(wants, Ordering::Relaxed);
    }

    /// What [`Sender::set_wants_flushed`] said.
    pub fn wants_flushed(&self) -> bool {
        self.wants_flushed.load(Ordering::Relaxed)
    }
}
