//! Plain bytes that wait to be sealed, in order.

use crate::io::extend::extend;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::collections::{TryReserveError, VecDeque};
use std::ops::Range;

/// Smaller pieces are joined, so that they share a record and a call: no more than a record holds (RFC 8446, 5.1).
const JOINED: usize = 16 * 1024;

/// Some of them, of one piece.
pub(crate) enum Piece {
    Joined(Vec<u8>),
    /// That part of the app's object.
    Lent(Py<PyBytes>, Range<usize>),
}

impl Piece {
    pub(crate) fn bytes<'a>(&'a self, py: Python<'a>) -> &'a [u8] {
        match self {
            Self::Joined(bytes) => bytes,
            Self::Lent(object, part) => &object.as_bytes(py)[part.clone()],
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Joined(bytes) => bytes.len(),
            Self::Lent(_, part) => part.len(),
        }
    }
}

/// A queue of them.
#[derive(Default)]
pub(crate) struct Backlog {
    pieces: VecDeque<Piece>,
    len: usize,
}

impl Backlog {
    /// Bytes that wait.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Keeps the object; a small one that follows a small one is copied. An error: there is no memory, and nothing has
    /// changed.
    pub(crate) fn push(
        &mut self,
        py: Python<'_>,
        object: &Bound<'_, PyBytes>,
    ) -> Result<(), TryReserveError> {
        let bytes = object.as_bytes();
        if let Some(last) = self.pieces.back_mut()
            && last.len() + bytes.len() <= JOINED
        {
            if let Piece::Joined(joined) = last {
                extend(joined, bytes)?;
            } else {
                let mut joined = Vec::new();
                joined.try_reserve_exact(JOINED.min(4 * (last.len() + bytes.len())))?;
                joined.extend_from_slice(last.bytes(py));
                joined.extend_from_slice(bytes);
                *last = Piece::Joined(joined);
            }
        } else {
            self.pieces.try_reserve(1)?;
            let whole = Piece::Lent(object.clone().unbind(), 0..bytes.len());
            self.pieces.push_back(whole);
        }
        self.len += bytes.len();
        Ok(())
    }

    /// Takes at most `most` bytes off the front.
    pub(crate) fn pop(&mut self, py: Python<'_>, most: usize) -> Option<Piece> {
        let first = self.pieces.front_mut()?;
        if let Piece::Lent(object, part) = first
            && part.len() > most
        {
            let taken = part.start..part.start + most;
            part.start += most;
            self.len -= most;
            return Some(Piece::Lent(object.clone_ref(py), taken));
        }
        let piece = self.pieces.pop_front()?;
        self.len -= piece.len();
        Some(piece)
    }

    /// What was taken was not sealed, but for its first `count` bytes.
    pub(crate) fn put_back(&mut self, piece: Piece, count: usize) {
        let rest = match piece {
            whole if count == 0 => whole,
            Piece::Joined(mut bytes) => Piece::Joined(bytes.split_off(count)),
            Piece::Lent(object, part) => Piece::Lent(object, part.start + count..part.end),
        };
        self.len += rest.len();
        self.pieces.push_front(rest);
    }

    /// All that waits, to be dropped where that may run code.
    pub(crate) fn take(&mut self) -> Self {
        std::mem::take(self)
    }
}
