//! What is left for whoever drives, who may be the pump, the helper or nobody.
//!
//! Nobody is woken for it: the pump looks in each of its drives, and whoever leaves something looks afterwards whether it
//! is the helper that drives (`Reactor::kick_helper`).

use crate::io::sync::{AtomicBool, Mutex, Ordering};

/// One for each loop. `C` is [`crate::io::runtime::commands::Command`]; loom's tests use a number.
pub struct Mailbox<C> {
    /// Leaf lock.
    waiting: Mutex<Vec<C>>,
    /// There are some. SeqCst: who leaves one sets it and then looks whether the helper drives, which begins to drive and
    /// then looks here.
    any: AtomicBool,
    /// The loop has ended.
    closed: AtomicBool,
}

impl<C> Default for Mailbox<C> {
    fn default() -> Self {
        Self {
            waiting: Mutex::new(Vec::new()),
            any: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
    }
}

impl<C> Mailbox<C> {
    /// Leaves something. Any thread.
    pub fn put(&self, command: C) {
        self.waiting.lock().push(command);
        self.any.store(true, Ordering::SeqCst);
    }

    /// Whether nothing was left since the last look.
    pub fn is_empty(&self) -> bool {
        !self.any.load(Ordering::SeqCst)
    }

    /// Takes all, in the order in which it was left.
    pub fn take(&self) -> Vec<C> {
        // Cleared first: what is left from now on sets it again.
        self.any.store(false, Ordering::SeqCst);
        std::mem::take(&mut *self.waiting.lock())
    }

    /// Takes all for the last time: the loop has ended.
    pub fn close(&self) -> Vec<C> {
        self.closed.store(true, Ordering::SeqCst);
        std::mem::take(&mut *self.waiting.lock())
    }

    /// Whether that was done: what is left now is of no use.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }
}
