//! What waits to be sent on one connection and who may send it.
//!
//! The pump, or the helper in its stead, sends what was staged; the connection's task goes on when the kernel had no
//! room. One sends at a time, and whoever finds another at it leaves the bytes to that one.
//!
//! ```text
//!          begins                 the kernel is full
//!   Nobody ──────→ Somebody ─────────────────────────→ TheTask
//!     ↑               │  ↑                                │
//!     └───────────────┘  └────────────────────────────────┘
//!     nothing is left                there is room
//! ```
//!
//! The sender takes what is to be sent now, has it sent outside of the lock, and settles: all is sent and more may be
//! taken, or the rest is put back, or sending is over. It gives the turn back in the section in which it finds nothing
//! staged, so no bytes are left behind.
//!
//! Over TLS what was taken is sealed as it is sent, and records that the kernel does not take wait with the session. While
//! a handshake is under way, only what was written before it is taken.

use crate::io::conn::levels::Levels;
use crate::io::conn::outcome::{By, Flush, Offer};
use crate::io::conn::secured::Secured;
use crate::io::conn::segments::Segments;
use std::io;
use std::sync::Arc;

/// Who sends.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    #[default]
    Nobody,
    Somebody,
    /// It is left to the task, which waits for room in the kernel.
    TheTask,
}

/// How far the sending side was shut down.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fin {
    #[default]
    Open,
    /// A FIN follows what waits.
    Wanted,
    Sent,
}

/// The app has closed the connection: it does not ask for the wire any more.
pub(crate) const APP: u8 = 1;
/// The task has ended.
pub(crate) const TASK: u8 = 2;

/// See the module's page. In a [`crate::io::conn::sender::Sender`], under its lock.
#[derive(Debug)]
pub(crate) struct State<S> {
    /// Waits for the next flush.
    pub(crate) staged: Segments,
    /// Bytes that somebody took out and is sending.
    pub(crate) in_flight: usize,
    /// Bytes that are with the kernel or sealed.
    pub(crate) sent: u64,
    /// None before the connection is established and after its end.
    pub(crate) wire: Option<Arc<S>>,
    /// None: the app has no limits.
    pub(crate) levels: Option<Box<Levels>>,
    /// None: bytes go as they are.
    pub(crate) secured: Option<Box<Secured>>,
    /// Why sending failed, for the task to tell.
    pub(crate) error: Option<io::Error>,
    pub(crate) who: Who,
    pub(crate) fin: Fin,
    /// Those of [`APP`] and [`TASK`] that are done with the wire.
    pub(crate) done: u8,
    /// The app disabled writing.
    pub(crate) off: bool,
    /// Something was written since the last complete flush, if only `b""`.
    pub(crate) owed: bool,
    /// A complete flush was not told, as writing is off.
    pub(crate) untold: bool,
    /// Sending is over: it failed, or the task ended, or the app dropped what waits.
    pub(crate) dead: bool,
    /// It is on the list of those to flush.
    pub(crate) listed: bool,
}

/// What somebody took out and is sending.
pub(crate) struct Taken<S> {
    pub(crate) segments: Segments,
    pub(crate) wire: Arc<S>,
    /// Nothing of the app's comes after these.
    pub(crate) last: bool,
}

/// What the sender does next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Send what was taken anew.
    Send,
    /// The FIN; somebody else may begin already, as nothing is staged after it.
    Fin,
    Stop,
}

impl<S> State<S> {
    pub(crate) fn new() -> Self {
        Self {
            staged: Segments::default(),
            in_flight: 0,
            sent: 0,
            wire: None,
            levels: None,
            secured: None,
            error: None,
            who: Who::default(),
            fin: Fin::default(),
            done: 0,
            off: false,
            owed: false,
            untold: false,
            dead: false,
            listed: false,
        }
    }

    pub(crate) fn size(&self) -> usize {
        let secured = self.secured.as_ref();
        let secured = secured.map_or(0, |secured| secured.held.len() + secured.sealed);
        self.staged.len() + self.in_flight + secured
    }

    /// Whether all that was written is with the kernel.
    pub(crate) fn is_flushed(&self) -> bool {
        self.size() == 0 && !self.owed
    }

    /// How many of the app's bytes the kernel took.
    pub(crate) fn count(&self) -> u64 {
        let sealed = self.secured.as_ref().map_or(0, |secured| secured.plain);
        self.sent - sealed as u64
    }

    pub(crate) fn is_all_sent(&self) -> bool {
        self.size() == 0 && self.fin != Fin::Wanted
    }

    /// Where what is written now waits.
    #[inline(always)]
    pub(crate) fn waiting(&mut self) -> &mut Segments {
        match &mut self.secured {
            Some(secured) if secured.handshaking => &mut secured.held,
            _ => &mut self.staged,
        }
    }

    fn is_handshaking(&self) -> bool {
        self.secured
            .as_ref()
            .is_some_and(|secured| secured.handshaking)
    }

    pub(crate) fn waits_for_handshake(&self) -> bool {
        let secured = self.secured.as_ref();
        secured.is_some_and(|secured| secured.handshaking && !secured.held.is_empty())
    }

    /// Whether there is something of the app's to send now.
    pub(crate) fn is_sendable(&self) -> bool {
        if self.off || self.dead {
            return false;
        }
        if self.is_handshaking() {
            return !self.staged.is_empty();
        }
        self.owed || self.fin == Fin::Wanted
    }

    /// Whether the session has something to say. While writing is off it waits like what was written: among its records
    /// may be the app's.
    fn wants_write(&self) -> bool {
        !self.dead
            && !self.off
            && self
                .secured
                .as_ref()
                .is_some_and(|secured| secured.wants_write)
    }

    /// The session is there; `handshaking`: its handshake is to come.
    pub(crate) fn secure(&mut self, mut new: Box<Secured>, handshaking: bool) {
        new.handshaking = handshaking;
        self.secured = Some(new);
        if self.done & APP != 0 && !self.dead {
            self.end_session();
        }
    }

    /// The session is to say that it ends before the stream does.
    pub(crate) fn end_session(&mut self) {
        if self.secured.is_some() && self.fin == Fin::Open {
            self.fin = Fin::Wanted;
        }
    }

    /// The handshake is done: what waited for it may go.
    pub(crate) fn handshake_done(&mut self) {
        if let Some(secured) = &mut self.secured {
            secured.handshaking = false;
            let held = std::mem::take(&mut secured.held);
            self.staged.append(held);
        }
    }

    /// What `by` shall send now, if nobody else is at it.
    #[inline(always)]
    pub(crate) fn begin(&mut self, by: By) -> Option<Taken<S>> {
        if by == By::List {
            // In one step with looking: who stages from here on puts it on the list again.
            self.listed = false;
        }
        let free = match by {
            By::Task => Who::TheTask,
            By::List | By::Other => Who::Nobody,
        };
        let mut segments = Segments::default();
        if self.who != free || !self.take(&mut segments) {
            return None;
        }
        let wire = self.wire.clone()?;
        let last = self.is_last();
        Some(Taken {
            segments,
            wire,
            last,
        })
    }

    /// Takes what is to be sent now into `empty`. False: there is nothing, and nobody sends.
    fn take(&mut self, empty: &mut Segments) -> bool {
        let own = self.is_sendable();
        let takes = (own || self.wants_write()) && self.wire.is_some();
        self.who = if takes { Who::Somebody } else { Who::Nobody };
        if takes {
            if own {
                std::mem::swap(&mut self.staged, empty);
            }
            if let Some(secured) = &mut self.secured {
                secured.wants_write = false;
            }
            self.in_flight = empty.len();
        }
        takes
    }

    /// Whether nothing of the app's comes after what was taken: all was.
    pub(crate) fn is_last(&self) -> bool {
        self.fin == Fin::Wanted && self.staged.is_empty() && self.is_sendable()
    }

    /// After what was taken was offered to the kernel, `last` as its taker knew it. `rest` was not sent; what is in it
    /// afterwards is to be sent next, or freed after the lock. `again`: there may be another round.
    #[inline(always)]
    pub(crate) fn settle(
        &mut self,
        result: io::Result<Offer>,
        rest: &mut Segments,
        last: bool,
        again: bool,
        flush: &mut Flush,
    ) -> Next {
        let taken = self.in_flight.saturating_sub(rest.len());
        self.in_flight = 0;
        if let (Some(secured), Ok(offer)) = (&mut self.secured, &result) {
            secured.sealed = offer.sealed;
            secured.plain = (secured.plain + taken).min(offer.sealed);
            secured.wants_write |= offer.sealed > 0;
        }
        match result {
            Ok(offer) if offer.room && rest.is_empty() => self.sent_all(last, again, rest, flush),
            Ok(offer) => {
                self.put_back(rest);
                self.go_on(offer.room && again, rest, flush)
            }
            Err(error) => {
                rest.append(self.drop_staged());
                self.error = Some(error);
                self.who = Who::Nobody;
                *flush = Flush::Failed;
                Next::Stop
            }
        }
    }

    /// All that was taken is with the kernel.
    fn sent_all(
        &mut self,
        last: bool,
        again: bool,
        empty: &mut Segments,
        flush: &mut Flush,
    ) -> Next {
        let more = self.is_sendable() || self.wants_write();
        if !self.staged.is_empty() || self.wants_write() || self.owes_notify(last) {
            return self.go_on(again || !more, empty, flush);
        }
        self.who = Who::Nobody;
        if self.is_handshaking() && self.size() > 0 {
            return Next::Stop;
        }
        // A FIN alone is nothing that was written.
        if std::mem::take(&mut self.owed) {
            *flush = Flush::Done;
        }
        if self.fin != Fin::Wanted || self.is_handshaking() {
            return Next::Stop;
        }
        self.fin = Fin::Sent;
        Next::Fin
    }

    /// Whether the session has still to say that it ends: the FIN was asked for after what was sent had been taken.
    fn owes_notify(&self, last: bool) -> bool {
        self.secured.is_some() && !last && self.fin == Fin::Wanted && !self.is_handshaking()
    }

    /// Puts what the kernel did not take ahead of what was staged meanwhile, unless sending is over.
    fn put_back(&mut self, rest: &mut Segments) {
        if !self.dead {
            let newer = std::mem::replace(&mut self.staged, std::mem::take(rest));
            self.staged.append(newer);
        }
    }

    /// Another round, or the task's turn.
    fn go_on(&mut self, again: bool, empty: &mut Segments, flush: &mut Flush) -> Next {
        if again {
            return if self.take(empty) {
                Next::Send
            } else {
                Next::Stop
            };
        }
        self.who = Who::TheTask;
        *flush = Flush::Blocked;
        Next::Stop
    }

    pub(crate) fn crossed(&mut self) -> bool {
        // What was dropped at the end was not sent.
        let left = (self.in_flight == 0 && !self.dead).then_some(self.size());
        // While somebody sends, that one will know what is left.
        let levels = self.levels.as_mut().zip(left);
        levels.is_some_and(|(levels, left)| levels.crossed(left))
    }

    pub(crate) fn drop_staged(&mut self) -> Segments {
        self.dead = true;
        self.in_flight = 0;
        let mut dropped = std::mem::take(&mut self.staged);
        if let Some(secured) = &mut self.secured {
            dropped.append(std::mem::take(&mut secured.held));
            // The kernel will never take those.
            self.sent -= secured.plain as u64;
            (secured.sealed, secured.plain) = (0, 0);
        }
        dropped
    }

    /// `who` is done with the wire.
    pub(crate) fn release(&mut self, who: u8) -> Option<Arc<S>> {
        self.done |= who;
        self.wire.take_if(|_| self.done == APP | TASK)
    }
}

#[cfg(test)]
#[path = "send_state/tests.rs"]
mod tests;
