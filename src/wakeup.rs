//! Signals: Python's C handler writes a byte to a socket pair, a task of the reactor reads it and wakes the pump.
//!
//! The task is needed because Tokio swallows the EINTR that a signal causes. Only the wake-up crosses: which signals
//! came, and what to do, is Python's own business when the pump looks.

use crate::io::{Event, Failure, Hub};
use std::io::ErrorKind;
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;

/// A task that reads `fd`, the receiving end of a non-blocking socket pair, of which it takes a duplicate.
pub fn watch(
    hub: Arc<Hub>,
    fd: RawFd,
) -> Result<Pin<Box<dyn Future<Output = ()> + Send>>, Failure> {
    // SAFETY: the caller holds the socket pair open during this call; no safe way leads from a descriptor's number,
    // which is all that Python can hand over, to a borrowed one.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    let stream = UnixStream::from(borrowed.try_clone_to_owned()?);
    Ok(Box::pin(async move {
        let Ok(stream) = tokio::net::UnixStream::from_std(stream) else {
            return;
        };
        let mut bytes = [0; 64];
        while stream.readable().await.is_ok() {
            match stream.try_read(&mut bytes) {
                Ok(0) => return,
                Ok(_) => hub.queue.push_urgent(Event::Signal),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }))
}
