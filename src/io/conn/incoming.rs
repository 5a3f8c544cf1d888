//! Memory for records that come, of which most are whole.

use std::cell::RefCell;

thread_local! {
    /// Shared by all connections that a thread drives: what came, with what was held of a record before it.
    static INCOMING: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Does `work` with this thread's buffer behind `held` bytes of room, whose size is `size`.
pub(crate) fn with_incoming<R>(held: usize, size: usize, work: impl FnOnce(&mut [u8]) -> R) -> R {
    INCOMING.with_borrow_mut(|buffer| {
        if buffer.len() < held + size {
            buffer.resize(held + size, 0);
        }
        work(&mut buffer[..held + size])
    })
}
