//! The names of what is open, and how much of that keeps the loop alive.

use crate::io::sync::{AtomicUsize, Mutex, Ordering};
use std::sync::Arc;

/// Names a connection, an attempt, a listener, a lookup or a poller: an index into the pump's table and a generation, so that an event
/// of one that is gone never reaches the next in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// Place in the pump's table.
    pub index: u32,
    /// Grows each time the place is given away.
    pub generation: u32,
}

/// See the module's page.
#[derive(Debug, Default)]
pub struct Keys {
    /// Leaf lock.
    free: Mutex<Free>,
    /// Tasks that keep the loop alive: connections, attempts, listeners, lookups.
    alive: AtomicUsize,
    /// Names being looked up.
    lookups: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct Free {
    given_back: Vec<Key>,
    /// Never given away.
    next: u32,
}

impl Keys {
    /// A key that no event in the queue names.
    pub fn new_key(&self) -> Key {
        let mut free = self.free.lock();
        free.given_back.pop().unwrap_or_else(|| {
            free.next += 1;
            Key {
                index: free.next - 1,
                generation: 0,
            }
        })
    }

    /// Gives a key back after its `Gone` was seen.
    pub fn free_key(&self, key: Key) {
        let next = Key {
            index: key.index,
            generation: key.generation.wrapping_add(1),
        };
        self.free.lock().given_back.push(next);
    }

    /// One more task that keeps the loop alive.
    pub fn came(&self) {
        self.alive.fetch_add(1, Ordering::SeqCst);
    }

    /// It ended. Its `Gone` is queued by the caller afterwards, so the pump looks again.
    pub fn went(&self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }

    /// How many tasks keep the loop alive.
    pub fn alive(&self) -> usize {
        self.alive.load(Ordering::SeqCst)
    }

    /// Names being looked up now.
    pub fn lookups(&self) -> usize {
        self.lookups.load(Ordering::Relaxed)
    }

    /// Counts a lookup until the guard is dropped.
    pub(crate) fn lookup_begins(&self) -> LookupGuard {
        self.lookups.fetch_add(1, Ordering::Relaxed);
        LookupGuard(self.lookups.clone())
    }
}

/// A name that is being looked up.
pub(crate) struct LookupGuard(Arc<AtomicUsize>);

impl Drop for LookupGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_given_back_has_another_generation() {
        let keys = Keys::default();
        let (first, second) = (keys.new_key(), keys.new_key());
        assert_eq!((first.index, second.index), (0, 1));
        keys.free_key(first);
        let again = keys.new_key();
        assert_eq!((again.index, again.generation), (0, first.generation + 1));
        assert_eq!(keys.new_key().index, 2);
    }
}
