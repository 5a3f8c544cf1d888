//! What waits to be sent on one connection.
//!
//! Small writes are joined into segments, large ones may be lent; a partial send only moves an offset, nothing is
//! shifted to the front.

use crate::io::conn::loan::Loan;
use crate::io::conn::wire::Wire;
use std::collections::{TryReserveError, VecDeque};
use std::io::IoSlice;
use std::ops::Deref;
use std::sync::Arc;

/// Small writes are joined up to this many bytes.
const SEGMENT: usize = 64 * 1024;
/// Most segments that one system call gets.
pub const VECTORS: usize = 16;

/// A piece of what waits.
#[derive(Debug)]
enum Segment {
    Own(Vec<u8>),
    Lent(Loan),
}

impl Deref for Segment {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Lent(loan) => loan.bytes(),
        }
    }
}

/// A queue of bytes.
#[derive(Debug, Default)]
pub struct Segments {
    /// Ahead of the tail. An idle connection pays for a pointer only.
    #[allow(clippy::box_collection)]
    whole: Option<Box<VecDeque<Segment>>>,
    tail: Vec<u8>,
    /// Bytes of the first segment that are gone already.
    gone: usize,
    len: usize,
}

impl Segments {
    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies `bytes` behind the others. An error: there is no memory for them, and nothing has changed.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), TryReserveError> {
        if !self.tail.is_empty() && self.tail.len() + bytes.len() > SEGMENT {
            let mut tail = Vec::new();
            tail.try_reserve_exact(bytes.len())?;
            self.end_tail();
            self.tail = tail;
        } else {
            self.tail.try_reserve(bytes.len())?;
        }
        self.tail.extend_from_slice(bytes);
        self.len += bytes.len();
        Ok(())
    }

    /// Puts lent bytes behind the others.
    pub fn push_loan(&mut self, loan: Loan) {
        self.end_tail();
        self.len += loan.bytes().len();
        self.whole().push_back(Segment::Lent(loan));
    }

    fn end_tail(&mut self) {
        if !self.tail.is_empty() {
            let tail = std::mem::take(&mut self.tail);
            self.whole().push_back(Segment::Own(tail));
        }
    }

    fn whole(&mut self) -> &mut VecDeque<Segment> {
        self.whole.get_or_insert_default()
    }

    /// Puts `newer` behind.
    pub fn append(&mut self, newer: Segments) {
        debug_assert_eq!(newer.gone, 0, "only the older bytes were sent in part");
        if newer.is_empty() {
            return;
        }
        self.end_tail();
        if let Some(whole) = newer.whole {
            self.whole().extend(*whole);
        }
        self.tail = newer.tail;
        self.len += newer.len;
    }

    /// Fills `slices` from the front; returns how many were used and their bytes.
    pub fn gather<'a>(&'a self, slices: &mut [IoSlice<'a>; VECTORS]) -> (usize, usize) {
        let mut used = 0;
        let mut bytes = 0;
        let mut skip = self.gone;
        let whole = self.whole.iter().flat_map(|whole| whole.iter());
        let whole = whole.map(Segment::deref);
        for segment in whole.chain(std::iter::once(self.tail.as_slice())) {
            if used == VECTORS || segment.is_empty() {
                break;
            }
            let rest = &segment[skip..];
            skip = 0;
            slices[used] = IoSlice::new(rest);
            used += 1;
            bytes += rest.len();
        }
        (used, bytes)
    }

    /// Forgets `count` bytes at the front.
    pub fn advance(&mut self, count: usize) {
        self.len -= count;
        let mut gone = self.gone + count;
        while let Some(whole) = &mut self.whole {
            match whole.front() {
                Some(first) if gone < first.len() => break,
                Some(first) => {
                    gone -= first.len();
                    whole.pop_front();
                }
                None => self.whole = None,
            }
        }
        if self.len == 0 {
            self.tail.clear();
            gone = 0;
        }
        self.gone = gone;
    }
}

/// Write buffer limits in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Marks {
    /// More than this left after a flush: the buffer is full.
    pub high: usize,
    /// Fallen to this: it is drained.
    pub low: usize,
}

/// How far the sending side was shut down.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Fin {
    /// Open for writing.
    #[default]
    Open,
    /// A FIN follows what waits.
    Wanted,
    /// The FIN was sent.
    Sent,
}

/// What is left to do when all that was taken is with the kernel.
#[derive(Debug, PartialEq, Eq)]
pub enum Left {
    /// More was staged.
    Bytes,
    /// The FIN.
    Fin,
}

/// The sending half's data; in `Link` under one leaf lock.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Waits for the next flush.
    pub staged: Segments,
    /// Bytes that the token's holder took out and is sending.
    pub in_flight: usize,
    /// None before the connection is established and after its task ended.
    pub stream: Option<Arc<Wire>>,
    /// The app disabled writing.
    pub write_off: bool,
    /// The token belongs to the task, which waits for room in the kernel.
    pub blocked: bool,
    /// Something was written since the last complete flush, if only `b""`.
    pub owed: bool,
    /// Sending is over: it failed, or the task ended.
    pub dead: bool,
    /// The app has closed the connection: nobody asks for its stream any more.
    pub closed: bool,
    /// The task has ended.
    pub ended: bool,
    /// Half close.
    pub fin: Fin,
    /// The app's limits.
    pub marks: Option<Box<Marks>>,
    /// The high mark was crossed, and the low one not since.
    pub full: bool,
}

impl Outbox {
    /// Bytes not yet taken by the kernel.
    pub fn size(&self) -> usize {
        self.staged.len() + self.in_flight
    }

    /// Whether a holder of the token would have something to do.
    pub fn sendable(&self) -> bool {
        self.stream.is_some()
            && !self.write_off
            && !self.dead
            && (self.owed || self.fin == Fin::Wanted)
    }

    /// Whether there is something to take.
    pub fn more(&mut self) -> Option<()> {
        self.sendable().then_some(())
    }

    /// Takes what is to be sent now.
    pub fn take(&mut self) -> Option<(Segments, Arc<Wire>)> {
        if !self.sendable() {
            return None;
        }
        let stream = self.stream.clone()?;
        let segments = std::mem::take(&mut self.staged);
        self.in_flight = segments.len();
        Some((segments, stream))
    }

    /// All that was taken is with the kernel; `written`: that is all that was written. A FIN alone is nothing that was
    /// written.
    pub fn sent_all(&mut self, written: &mut bool) -> Option<Left> {
        self.in_flight = 0;
        if !self.staged.is_empty() {
            return self.sendable().then_some(Left::Bytes);
        }
        *written = std::mem::take(&mut self.owed);
        if self.fin != Fin::Wanted {
            return None;
        }
        self.fin = Fin::Sent;
        Some(Left::Fin)
    }

    /// Puts back what the kernel did not take, ahead of what was staged meanwhile. What a dead one does not take comes
    /// back, so that it is freed after the lock.
    #[must_use]
    pub fn put_back(&mut self, mut rest: Segments) -> Option<Segments> {
        self.in_flight = 0;
        if self.dead {
            return Some(rest);
        }
        rest.append(std::mem::take(&mut self.staged));
        self.staged = rest;
        None
    }

    /// True when what waits has crossed a mark: the high one, then the low one, and so on by turns. False while somebody
    /// sends, who will know what is left.
    pub fn crossed(&mut self) -> bool {
        let Some(marks) = &self.marks else {
            return false;
        };
        let crossed = self.in_flight == 0
            && if self.full {
                self.size() <= marks.low
            } else {
                self.size() > marks.high
            };
        self.full ^= crossed;
        crossed
    }

    /// Sending is over; what waits is dropped. Returned, so that it is freed after the lock.
    pub fn drop_staged(&mut self) -> Segments {
        self.dead = true;
        self.in_flight = 0;
        std::mem::take(&mut self.staged)
    }

    /// The loop is over: [`Outbox::drop_staged`], and the stream is let go.
    pub fn kill(&mut self) -> (Segments, Option<Arc<Wire>>) {
        (self.drop_staged(), self.stream.take())
    }

    /// The task has ended. The app keeps the stream until it knows that, and has closed the connection.
    pub fn end(&mut self) -> (Segments, Option<Arc<Wire>>) {
        self.ended = true;
        (self.drop_staged(), self.take_unused())
    }

    /// The app is done with it. `force`: what waits is dropped, before a flush that comes ahead of the task could send it.
    pub fn close(&mut self, force: bool) -> (Segments, Option<Arc<Wire>>) {
        self.write_off = false;
        self.closed = true;
        let dropped = if force {
            self.drop_staged()
        } else {
            Segments::default()
        };
        (dropped, self.take_unused())
    }

    fn take_unused(&mut self) -> Option<Arc<Wire>> {
        self.stream.take_if(|_| self.closed && self.ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn front(segments: &Segments) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); VECTORS];
        let (used, bytes) = segments.gather(&mut slices);
        let all: Vec<u8> = slices[..used]
            .iter()
            .flat_map(|slice| slice.to_vec())
            .collect();
        assert_eq!(all.len(), bytes);
        all
    }

    /// Pushes, partial sends and appends of odd sizes against a plain queue of bytes.
    #[test]
    fn segments_are_a_queue_of_bytes() {
        let (mut segments, mut plain) = (Segments::default(), VecDeque::<u8>::new());
        let sizes = [
            1,
            0,
            700,
            SEGMENT - 1,
            3,
            SEGMENT,
            5 * SEGMENT,
            2,
            40_000,
            40_000,
            17,
        ];
        let mut next = 0u8;
        for round in 0..200 {
            let size = sizes[round % sizes.len()];
            let bytes: Vec<u8> = (0..size)
                .map(|_| {
                    next = next.wrapping_add(1);
                    next
                })
                .collect();
            plain.extend(&bytes);
            if round % 5 == 0 {
                let mut newer = Segments::default();
                newer.push(&bytes).unwrap();
                segments.append(newer);
            } else {
                segments.push(&bytes).unwrap();
            }
            let ready = front(&segments);
            assert!(
                ready.iter().eq(plain.iter().take(ready.len())),
                "round {round}"
            );
            assert!(!ready.is_empty() || plain.is_empty());
            let sent = ready.len() * (round % 4) / 3;
            segments.advance(sent);
            plain.drain(..sent);
            assert_eq!(
                (segments.len(), segments.is_empty()),
                (plain.len(), plain.is_empty())
            );
        }
    }

    #[test]
    fn small_writes_are_one_slice_and_a_long_queue_fills_all() {
        let mut segments = Segments::default();
        (0..100).for_each(|_| segments.push(&[1; 100]).unwrap());
        let mut slices = [IoSlice::new(&[]); VECTORS];
        assert_eq!(segments.gather(&mut slices), (1, 10_000));
        (0..100).for_each(|_| segments.push(&[1; SEGMENT]).unwrap());
        let mut slices = [IoSlice::new(&[]); VECTORS];
        assert_eq!(segments.gather(&mut slices).0, VECTORS);
    }

    #[test]
    fn what_comes_back_goes_ahead_of_what_was_staged_meanwhile() {
        let mut out = Outbox::default();
        out.staged.push(b"older").unwrap();
        let mut taken = std::mem::take(&mut out.staged);
        out.in_flight = taken.len();
        taken.advance(2);
        out.staged.push(b"newer").unwrap();
        assert_eq!(out.size(), 10);
        assert!(out.put_back(taken).is_none());
        assert_eq!((front(&out.staged), out.size()), (b"dernewer".to_vec(), 8));
    }

    #[test]
    fn nothing_comes_back_to_a_dead_one() {
        let mut out = Outbox::default();
        let mut taken = Segments::default();
        taken.push(b"older").unwrap();
        out.kill();
        assert!(out.put_back(taken).is_some());
        assert_eq!(out.size(), 0);
    }

    #[test]
    fn the_marks_are_crossed_by_turns() {
        let mut out = Outbox {
            marks: Some(Box::new(Marks { high: 10, low: 4 })),
            ..Outbox::default()
        };
        out.staged.push(&[0; 10]).unwrap();
        assert!(!out.crossed(), "the high mark itself is not too much");
        out.staged.push(&[0; 1]).unwrap();
        assert!(out.crossed() && !out.crossed());
        out.staged.advance(6);
        assert!(!out.crossed());
        out.staged.advance(1);
        assert!(out.crossed() && !out.crossed());
    }

    #[test]
    fn while_somebody_sends_no_mark_is_crossed() {
        let mut out = Outbox {
            marks: Some(Box::new(Marks { high: 10, low: 4 })),
            in_flight: 100,
            ..Outbox::default()
        };
        assert!(!out.crossed());
        out.in_flight = 0;
        out.staged.push(&[0; 100]).unwrap();
        assert!(out.crossed());
    }
}
