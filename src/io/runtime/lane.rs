//! Handshakes one step at a time: each costs what a hundred messages do, so between two of them all else that is due is
//! done, and the kernel asked for more.

use crate::io::sync::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

/// One for each loop. A round is a poll of the root future of whoever drives.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    /// A step was made in this round. Only whoever drives looks at it, and hands over all that it did.
    taken: AtomicBool,
    /// Whether anybody is in the list below; changed under its lock.
    any: AtomicBool,
    /// Those that wait for a round of theirs. Leaf lock.
    waiting: Mutex<VecDeque<Waker>>,
}

impl Lane {
    /// Whether a step may be made now; else `handshake` is woken in a later round, and there must be one.
    pub(crate) fn enter(&self, handshake: &Waker) -> bool {
        if !self.taken.swap(true, Ordering::Relaxed) {
            return true;
        }
        let mut waiting = self.waiting.lock();
        waiting.push_back(handshake.clone());
        self.any.store(true, Ordering::SeqCst);
        false
    }

    /// A round begins; true: others wait for the next.
    #[inline]
    pub(crate) fn next_round(&self) -> bool {
        self.taken.store(false, Ordering::Relaxed);
        self.any.load(Ordering::SeqCst) && self.wake_next()
    }

    #[cold]
    fn wake_next(&self) -> bool {
        let (next, more) = {
            let mut waiting = self.waiting.lock();
            let next = waiting.pop_front();
            let more = !waiting.is_empty();
            self.any.store(more, Ordering::SeqCst);
            (next, more)
        };
        if let Some(next) = next {
            next.wake();
        }
        more
    }

    /// The loop has ended.
    pub(crate) fn clear(&self) {
        let dropped = std::mem::take(&mut *self.waiting.lock());
        drop(dropped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn one_step_is_made_in_a_round_and_those_that_wait_are_woken_by_turns() {
        let lane = Lane::default();
        let counts: Vec<Arc<Count>> = (0..3).map(|_| Arc::default()).collect();
        let wakers: Vec<Waker> = counts.iter().cloned().map(Waker::from).collect();
        assert!(lane.enter(&wakers[0]));
        assert!(!lane.enter(&wakers[1]) && !lane.enter(&wakers[2]));
        assert!(lane.next_round(), "another waits");
        assert_eq!(counts[1].0.load(Ordering::SeqCst), 1);
        // It is gone and does not take its turn: the other is woken all the same.
        assert!(!lane.next_round());
        assert_eq!(counts[2].0.load(Ordering::SeqCst), 1);
        assert!(lane.enter(&wakers[2]));
    }
}
