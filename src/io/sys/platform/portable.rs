//! What any platform can do, where it has nothing better.

use socket2::{SockAddr, Socket};
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::Interest;

/// Tokio does not tell.
pub(crate) const URGENT: Option<Interest> = None;

/// From the first call.
pub(crate) fn nanoseconds() -> u64 {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let first = FIRST.get_or_init(Instant::now);
    u64::try_from(first.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Accepting tells of one that does not.
pub(crate) fn is_listening(_: &Socket) -> io::Result<bool> {
    Ok(true)
}

/// The kernel does not tell.
pub(crate) fn unacknowledged<S>(_: &S) -> io::Result<usize> {
    Ok(1)
}

pub(crate) fn unsent<S>(_: &S) -> io::Result<usize> {
    Ok(0)
}

/// A connection that is reset ends when it is closed, and a socket whose attempt has failed is no good for another.
pub(crate) fn disconnect<S>(_: &S) {}

/// The allocator knows best.
pub(crate) fn give_heap_back(_: usize) {}

/// There is no such option.
pub(crate) fn choose_port_late(_: &Socket) {}

pub(crate) fn accept_one(listening: &Socket) -> io::Result<(Socket, SockAddr)> {
    let (accepted, peer) = listening.accept()?;
    accepted.set_nonblocking(true)?;
    // Not inherited everywhere.
    let _ = accepted.set_tcp_nodelay(true);
    Ok((accepted, peer))
}

/// The waiting thread is woken to learn the time.
#[derive(Default)]
pub(crate) struct Timer {
    due: Mutex<Option<Instant>>,
    changed: Condvar,
}

impl Timer {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self::default())
    }

    fn due(&self) -> MutexGuard<'_, Option<Instant>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, delay: Duration) {
        *self.due() = Some(Instant::now() + delay);
        self.changed.notify_one();
    }

    pub(crate) fn clear(&self) {
        *self.due() = None;
    }

    pub(crate) fn wait(&self) {
        let mut due = self.due();
        loop {
            let rest = due.map(|due| due.saturating_duration_since(Instant::now()));
            due = match rest {
                Some(Duration::ZERO) => {
                    *due = None;
                    return;
                }
                Some(rest) => {
                    let waited = self.changed.wait_timeout(due, rest);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let waited = self.changed.wait(due);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }
}
