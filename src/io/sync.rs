//! The locks and atomics of the files that loom checks; `tests/loom/src/lib.rs` names them.
//!
//! `tests/loom/` compiles those very files with loom's types under the same names, so they use nothing else.

pub use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{MutexGuard, PoisonError};
pub use tokio::sync::Notify;

/// A `std` mutex whose `lock` ignores poisoning: every section under it leaves its data whole at each step.
///
/// Sections are short: no system call, no await, no wake-up, no Python under any lock of this crate.
#[derive(Debug, Default)]
pub struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// Wraps `value`.
    pub const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    /// Waits for the lock.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the lock if it is free.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(std::sync::TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(std::sync::TryLockError::WouldBlock) => None,
        }
    }
}
