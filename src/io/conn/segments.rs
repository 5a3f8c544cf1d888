//! Bytes that wait to be sent, in order.
//!
//! Small writes are joined into segments, large ones may be lent; a partial send only moves an offset, nothing is
//! shifted to the front.

use crate::io::conn::loan::Loan;
use std::cell::RefCell;
use std::collections::{TryReserveError, VecDeque};
use std::io::IoSlice;
use std::ops::Deref;

/// Small writes are joined up to this many bytes.
const SEGMENT: usize = 64 * 1024;
/// Most segments that one system call gets.
pub const VECTORS: usize = 16;

/// Buffers that a thread keeps of what it has sent, for what is written next, and the size of the largest that it keeps: a small
/// message's way to the allocator and back costs as much as its copy.
const SPARES: usize = 64;
const SPARE_SIZE: usize = 2048;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

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

/// Segments ahead of the tail.
#[derive(Debug, Default)]
struct Whole {
    segments: VecDeque<Segment>,
    /// Bytes of the first that are gone already.
    gone: usize,
    /// The others.
    len: usize,
}

/// A queue of bytes.
#[derive(Debug, Default)]
pub struct Segments {
    /// What is not needed for a small message that goes out at once: an idle connection pays for a pointer only.
    whole: Option<Box<Whole>>,
    tail: Vec<u8>,
}

impl Segments {
    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.tail.len() + self.whole.as_ref().map_or(0, |whole| whole.len)
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies `bytes` behind the others. An error: there is no memory for them, and nothing has changed.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), TryReserveError> {
        if !self.tail.is_empty() && self.tail.len() + bytes.len() > SEGMENT {
            let mut tail = Vec::new();
            tail.try_reserve_exact(bytes.len())?;
            self.reserve()?;
            self.end_tail();
            self.tail = tail;
        } else {
            if self.tail.capacity() == 0 && bytes.len() <= SPARE_SIZE {
                self.tail = spare();
            }
            self.tail.try_reserve(bytes.len())?;
        }
        self.tail.extend_from_slice(bytes);
        Ok(())
    }

    /// All of it was sent, or is not to be.
    pub fn recycle(self) {
        let buffer = self.tail;
        if matches!(buffer.capacity(), 1..=SPARE_SIZE) {
            keep(buffer);
        }
    }

    /// Puts lent bytes behind the others. An error: there is no memory for that; the loan stays where it is, and nothing has
    /// changed.
    pub fn push_loan(&mut self, loan: &mut Option<Loan>) -> Result<(), TryReserveError> {
        self.reserve()?;
        if let Some(loan) = loan.take() {
            self.end_tail();
            self.push_whole(Segment::Lent(loan));
        }
        Ok(())
    }

    /// There is room for the tail and one more ahead of the tail to come.
    fn reserve(&mut self) -> Result<(), TryReserveError> {
        match &mut self.whole {
            Some(whole) => whole.segments.try_reserve(2),
            // The first few are small.
            None => Ok(()),
        }
    }

    fn end_tail(&mut self) {
        if !self.tail.is_empty() {
            let tail = std::mem::take(&mut self.tail);
            self.push_whole(Segment::Own(tail));
        }
    }

    fn push_whole(&mut self, segment: Segment) {
        let whole = self.whole.get_or_insert_default();
        whole.len += segment.len();
        whole.segments.push_back(segment);
    }

    /// Puts `newer` behind.
    pub fn append(&mut self, newer: Segments) {
        if newer.is_empty() {
            return;
        }
        if self.is_empty() {
            *self = newer;
            return;
        }
        self.end_tail();
        if let Some(newer) = newer.whole {
            debug_assert_eq!(newer.gone, 0, "only the older bytes were sent in part");
            let whole = self.whole.get_or_insert_default();
            whole.len += newer.len;
            whole.segments.extend(newer.segments);
        }
        self.tail = newer.tail;
    }

    /// Fills `slices` from the front; returns how many were used and their bytes.
    pub fn gather<'a>(&'a self, slices: &mut [IoSlice<'a>; VECTORS]) -> (usize, usize) {
        let mut used = 0;
        let mut bytes = 0;
        let mut skip = self.whole.as_ref().map_or(0, |whole| whole.gone);
        let whole = self.whole.iter().flat_map(|whole| whole.segments.iter());
        let whole = whole.map(Segment::deref);
        for segment in whole.chain(std::iter::once(self.tail.as_slice())) {
            if used == VECTORS || segment.is_empty() {
                break;
            }
            // Of the first, which is longer: `advance` forgets those that are gone.
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
        if self.whole.is_none() {
            if count == self.tail.len() {
                self.tail.clear();
                return;
            }
            self.end_tail();
        }
        let mut tail = count;
        if let Some(whole) = &mut self.whole {
            tail = count.saturating_sub(whole.len);
            whole.advance(count - tail);
            if whole.len == 0 {
                self.whole = None;
            }
        }
        if tail > 0 {
            self.advance(tail);
        }
    }
}

/// An empty buffer. Also where the thread ends, and has none any more.
fn spare() -> Vec<u8> {
    let kept = SPARE.try_with(|spare| spare.borrow_mut().pop());
    kept.ok().flatten().unwrap_or_default()
}

fn keep(mut buffer: Vec<u8>) {
    buffer.clear();
    let _ = SPARE.try_with(|spare| {
        let mut spare = spare.borrow_mut();
        if spare.len() < SPARES {
            spare.push(buffer);
        }
    });
}

impl Whole {
    fn advance(&mut self, count: usize) {
        self.len -= count;
        self.gone += count;
        while let Some(first) = self.segments.front() {
            if self.gone < first.len() {
                break;
            }
            self.gone -= first.len();
            self.segments.pop_front();
        }
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
    fn what_was_sent_in_part_stays_so_behind_nothing() {
        let mut older = Segments::default();
        older.push(b"gone and not").unwrap();
        older.advance(9);
        let mut segments = Segments::default();
        segments.append(older);
        assert_eq!((segments.len(), &front(&segments)[..]), (3, &b"not"[..]));
        segments.advance(3);
        assert!(segments.is_empty());
    }

    fn sent(size: usize) -> *const u8 {
        let mut segments = Segments::default();
        segments.push(&vec![1; size]).unwrap();
        segments.advance(size);
        let buffer = segments.tail.as_ptr();
        segments.recycle();
        buffer
    }

    #[test]
    fn small_buffer_of_what_was_sent_is_used_for_what_is_written_next() {
        let buffer = sent(10);
        let mut next = Segments::default();
        next.push(b"next").unwrap();
        assert_eq!(
            (next.tail.as_ptr(), &front(&next)[..]),
            (buffer, &b"next"[..])
        );
    }

    #[test]
    fn neither_large_buffers_nor_many_small_ones_are_kept() {
        let kept = || SPARE.with_borrow(Vec::len);
        SPARE.with_borrow_mut(Vec::clear);
        sent(SPARE_SIZE + 1);
        assert_eq!(kept(), 0);
        let many: Vec<_> = (0..2 * SPARES)
            .map(|_| {
                let mut segments = Segments::default();
                segments.push(b"small").unwrap();
                segments
            })
            .collect();
        many.into_iter().for_each(Segments::recycle);
        assert_eq!(kept(), SPARES);
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
}
