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

use crate::io::conn::levels::Levels;
use crate::io::conn::outcome::{By, Flush};
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

/// The app has closed the connection: it does not ask for the stream any more.
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
    /// Bytes that the kernel took.
    pub(crate) sent: u64,
    /// None before the connection is established and after its end.
    pub(crate) stream: Option<Arc<S>>,
    /// None: the app has no limits.
    pub(crate) levels: Option<Box<Levels>>,
    /// Why sending failed, for the task to tell.
    pub(crate) error: Option<io::Error>,
    pub(crate) who: Who,
    pub(crate) fin: Fin,
    /// Those of [`APP`] and [`TASK`] that are done with the stream.
    pub(crate) done: u8,
    /// The app disabled writing.
    pub(crate) off: bool,
    /// Something was written since the last complete flush, if only `b""`.
    pub(crate) owed: bool,
    /// Sending is over: it failed, or the task ended, or the app dropped what waits.
    pub(crate) dead: bool,
    /// It is on the list of those to flush.
    pub(crate) listed: bool,
}

/// What somebody took out and is sending.
pub(crate) struct Taken<S> {
    pub(crate) segments: Segments,
    pub(crate) stream: Arc<S>,
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
            stream: None,
            levels: None,
            error: None,
            who: Who::default(),
            fin: Fin::default(),
            done: 0,
            off: false,
            owed: false,
            dead: false,
            listed: false,
        }
    }

    pub(crate) fn size(&self) -> usize {
        self.staged.len() + self.in_flight
    }

    pub(crate) fn is_all_sent(&self) -> bool {
        self.size() == 0 && self.fin != Fin::Wanted
    }

    pub(crate) fn is_sendable(&self) -> bool {
        !self.off && !self.dead && (self.owed || self.fin == Fin::Wanted)
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
        let stream = self.stream.clone()?;
        Some(Taken { segments, stream })
    }

    /// Takes what is to be sent now into `empty`. False: there is nothing, and nobody sends.
    fn take(&mut self, empty: &mut Segments) -> bool {
        let takes = self.is_sendable() && self.stream.is_some();
        self.who = if takes { Who::Somebody } else { Who::Nobody };
        if takes {
            std::mem::swap(&mut self.staged, empty);
            self.in_flight = empty.len();
        }
        takes
    }

    /// After what was taken was offered to the kernel. `rest` was not sent; what is in it afterwards is to be sent next, or
    /// freed after the lock. `again`: there may be another round.
    #[inline(always)]
    pub(crate) fn settle(
        &mut self,
        result: io::Result<bool>,
        rest: &mut Segments,
        again: bool,
        flush: &mut Flush,
    ) -> Next {
        self.in_flight = 0;
        match result {
            Ok(true) if rest.is_empty() => self.sent_all(again, rest, flush),
            Ok(room) => {
                self.put_back(rest);
                self.go_on(room && again, rest, flush)
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
    fn sent_all(&mut self, again: bool, empty: &mut Segments, flush: &mut Flush) -> Next {
        if !self.staged.is_empty() {
            return self.go_on(again || !self.is_sendable(), empty, flush);
        }
        self.who = Who::Nobody;
        // A FIN alone is nothing that was written.
        if std::mem::take(&mut self.owed) {
            *flush = Flush::Done;
        }
        if self.fin != Fin::Wanted {
            return Next::Stop;
        }
        self.fin = Fin::Sent;
        Next::Fin
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
        let left = (self.in_flight == 0).then_some(self.size());
        // While somebody sends, that one will know what is left.
        let levels = self.levels.as_mut().zip(left);
        levels.is_some_and(|(levels, left)| levels.crossed(left))
    }

    pub(crate) fn drop_staged(&mut self) -> Segments {
        self.dead = true;
        self.in_flight = 0;
        std::mem::take(&mut self.staged)
    }

    /// `who` is done with the stream.
    pub(crate) fn release(&mut self, who: u8) -> Option<Arc<S>> {
        self.done |= who;
        self.stream.take_if(|_| self.done == APP | TASK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::conn::levels::Marks;
    use crate::io::conn::segments::VECTORS;
    use std::io::IoSlice;

    /// Open, with so much staged.
    fn open(bytes: &[u8]) -> State<()> {
        let mut state = State::new();
        state.stream = Some(Arc::new(()));
        stage(&mut state, bytes);
        state
    }

    fn stage(state: &mut State<()>, bytes: &[u8]) {
        state.staged.push(bytes).unwrap();
        state.owed = true;
    }

    fn full(state: &mut State<()>, rest: &mut Segments) -> Flush {
        let mut flush = Flush::Nothing;
        let next = state.settle(Ok(false), rest, true, &mut flush);
        assert!(matches!(next, Next::Stop));
        flush
    }

    #[test]
    fn what_comes_back_goes_ahead_of_what_was_staged_meanwhile() {
        let mut state = open(b"older");
        let mut taken = state.begin(By::Other).unwrap().segments;
        taken.advance(2);
        stage(&mut state, b"newer");
        assert_eq!(state.size(), 10);
        assert!(state.begin(By::Other).is_none(), "two send");
        assert_eq!(full(&mut state, &mut taken), Flush::Blocked);
        assert_eq!((taken.len(), state.size()), (0, 8));
        assert!(state.begin(By::Other).is_none(), "it is left to the task");
        let again = state.begin(By::Task).unwrap().segments;
        let mut slices = [IoSlice::new(&[]); VECTORS];
        assert_eq!(again.gather(&mut slices).1, 8);
        assert_eq!(
            (&slices[0][..], &slices[1][..]),
            (&b"der"[..], &b"newer"[..])
        );
    }

    #[test]
    fn nothing_comes_back_to_a_dead_one() {
        let mut state = open(b"older");
        let mut taken = state.begin(By::Other).unwrap().segments;
        drop(state.drop_staged());
        full(&mut state, &mut taken);
        assert_eq!((taken.len(), state.size()), (5, 0), "freed after the lock");
    }

    #[test]
    fn while_somebody_sends_no_mark_is_crossed() {
        let mut state = open(&[0; 100]);
        state.levels = Some(Box::new(Levels::new(Marks { high: 10, low: 4 })));
        let mut taken = state.begin(By::Other).unwrap().segments;
        assert!(!state.crossed());
        full(&mut state, &mut taken);
        assert!(state.crossed() && !state.crossed());
    }

    #[test]
    fn while_writing_is_off_nothing_is_sent() {
        let mut state = open(b"later");
        state.off = true;
        assert!(state.begin(By::List).is_none());
        state.off = false;
        assert!(state.begin(By::List).is_some());
    }
}
