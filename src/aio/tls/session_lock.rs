//! Who uses a session: the loop's thread, or the one that sends what a long step wrote. OpenSSL's calls release the interpreter's
//! lock, and bear no second one meanwhile.

use pyo3::prelude::*;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

const NOBODY: u8 = 0;
const STEP: u8 = 1;
const LATE: u8 = 2;
/// How long sealing takes, about.
const A_LITTLE: Duration = Duration::from_micros(50);

/// Changed with the interpreter's lock held.
#[derive(Default)]
pub(crate) struct SessionLock(AtomicU8);

/// Until this is dropped the session is its maker's.
pub(crate) struct Guard<'a> {
    lock: &'a SessionLock,
    before: u8,
}

impl SessionLock {
    /// For the loop's thread, also where it uses it already: a callback of the session's may write. Waits for the other one.
    pub(crate) fn enter(&self, py: Python<'_>) -> Guard<'_> {
        while self.0.load(Relaxed) == LATE {
            py.detach(|| thread::sleep(A_LITTLE));
        }
        self.take(STEP)
    }

    /// For the other one; None: it is in use.
    pub(crate) fn try_enter(&self, _: Python<'_>) -> Option<Guard<'_>> {
        (self.0.load(Relaxed) == NOBODY).then(|| self.take(LATE))
    }

    fn take(&self, user: u8) -> Guard<'_> {
        let before = self.0.load(Relaxed);
        self.0.store(user, Relaxed);
        Guard { lock: self, before }
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.lock.0.store(self.before, Relaxed);
    }
}
