//! Memory for records that come, of which most are whole.

use crate::io::failure::no_memory;
use std::cell::RefCell;
use std::io;

thread_local! {
    /// Shared by all connections that a thread drives: what came, with what was held of a record before it.
    static INCOMING: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Does `work` with this thread's buffer behind `held` bytes of room, whose size is `size`.
pub(crate) fn with_incoming<R>(
    held: usize,
    size: usize,
    work: impl FnOnce(&mut [u8]) -> io::Result<R>,
) -> io::Result<R> {
    INCOMING.with_borrow_mut(|buffer| {
        if buffer.len() < held + size {
            let more = held + size - buffer.len();
            buffer.try_reserve_exact(more).map_err(|_| no_memory())?;
            buffer.resize(held + size, 0);
        }
        work(&mut buffer[..held + size])
    })
}
