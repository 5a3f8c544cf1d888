//! Bytes that wait to be sent, in order.

use crate::boundary::buffer_pool::KEPT_HEAP;
use crate::io::extend::extend;
use crate::io::sys::platform;
use crate::io::sys::transfer;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::collections::{TryReserveError, VecDeque};
use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::BorrowedFd;

/// Smaller pieces are joined, larger ones are sent from where they are.
const JOINED: usize = 16 * 1024;
/// Pieces that one system call gets.
const VECTORS: usize = 16;

enum Piece {
    Own(Vec<u8>),
    Lent(Py<PyBytes>),
}

impl Piece {
    fn bytes<'a>(&'a self, py: Python<'a>) -> &'a [u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Lent(bytes) => bytes.as_bytes(py),
        }
    }
}

/// What became of an attempt to send.
pub(crate) enum Sent {
    All,
    /// The kernel takes no more for now.
    Some,
    Failed(io::Error),
}

/// A queue of bytes. An idle connection has the empty queue only.
#[derive(Default)]
pub(crate) struct Outgoing {
    pieces: VecDeque<Piece>,
    /// Bytes of the first piece that are gone.
    gone: usize,
    len: usize,
    /// The most that waited since nothing did.
    most: usize,
}

impl Outgoing {
    /// Bytes that wait.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies them. An error: there is no memory for them, and nothing has changed.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), TryReserveError> {
        if let Some(Piece::Own(last)) = self.pieces.back_mut()
            && last.len() + bytes.len() <= JOINED
        {
            extend(last, bytes)?;
        } else {
            let mut own = Vec::new();
            extend(&mut own, bytes)?;
            self.pieces.try_reserve(1)?;
            self.pieces.push_back(Piece::Own(own));
        }
        self.add(bytes.len());
        Ok(())
    }

    /// The same; a large object is kept instead of copied.
    pub(crate) fn push_object(
        &mut self,
        object: &Bound<'_, PyBytes>,
    ) -> Result<(), TryReserveError> {
        let bytes = object.as_bytes();
        if bytes.len() < JOINED {
            return self.push(bytes);
        }
        self.pieces.try_reserve(1)?;
        self.pieces.push_back(Piece::Lent(object.clone().unbind()));
        self.add(bytes.len());
        Ok(())
    }

    /// Drops all of them.
    pub(crate) fn clear(&mut self) {
        let most = self.most;
        *self = Self::default();
        give_heap_back(most);
    }

    fn add(&mut self, count: usize) {
        self.len += count;
        self.most = self.most.max(self.len);
    }

    /// Sends until all is gone or the kernel takes no more.
    pub(crate) fn send(&mut self, py: Python<'_>, socket: BorrowedFd<'_>) -> Sent {
        while self.len > 0 {
            let (offered, result) = self.send_some(py, socket);
            match result {
                Ok(count) => {
                    self.advance(py, count);
                    if count < offered {
                        return Sent::Some;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Sent::Some,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Sent::Failed(error),
            }
        }
        Sent::All
    }

    /// One system call: what it was offered and what it took.
    fn send_some(&self, py: Python<'_>, socket: BorrowedFd<'_>) -> (usize, io::Result<usize>) {
        let first = self
            .pieces
            .front()
            .map_or(&[][..], |first| &first.bytes(py)[self.gone..]);
        if self.pieces.len() == 1 {
            let sent = transfer::send(&socket, &[IoSlice::new(first)], first.len());
            return (first.len(), sent);
        }
        let rest = self.pieces.iter().skip(1).take(VECTORS - 1);
        let slices: Vec<IoSlice<'_>> = std::iter::once(first)
            .chain(rest.map(|piece| piece.bytes(py)))
            .map(IoSlice::new)
            .collect();
        let offered = slices.iter().map(|slice| slice.len()).sum();
        (offered, transfer::send(&socket, &slices, offered))
    }

    fn advance(&mut self, py: Python<'_>, count: usize) {
        self.len -= count;
        self.gone += count;
        while let Some(first) = self.pieces.front() {
            let len = first.bytes(py).len();
            if self.gone < len {
                return;
            }
            self.gone -= len;
            self.pieces.pop_front();
        }
        // The memory of a burst is given back.
        if self.pieces.capacity() > VECTORS {
            self.pieces = VecDeque::new();
        }
        give_heap_back(std::mem::take(&mut self.most));
    }
}

/// After so many bytes that waited. What was made later than they lies behind them, and so the allocator would keep it all.
fn give_heap_back(bytes: usize) {
    if bytes > KEPT_HEAP {
        platform::give_heap_back(KEPT_HEAP);
    }
}
