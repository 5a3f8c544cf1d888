//! When the timers of a loop are due. They are the pump's own, since only it can run their callbacks.

use crate::io::sync::Mutex;
use pyo3::prelude::*;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// One arming of a timer. Ordered by time, then first in, first out.
struct Due {
    when: Instant,
    number: u64,
    timer: Py<PyAny>,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.when, self.number).cmp(&(other.when, other.number))
    }
}

#[derive(Default)]
struct Heap {
    due: BinaryHeap<Reverse<Due>>,
    /// Armings whose timer was cancelled.
    stale: usize,
}

/// When the first one is due, for who asks in each turn and takes no lock for it. Set under the heap's.
struct First {
    /// Nanoseconds after `base`.
    after: AtomicU64,
    base: Instant,
}

const NEVER: u64 = u64::MAX;

/// All timers of a loop.
pub struct Timers {
    heap: Mutex<Heap>,
    first: First,
    /// The number of the next arming. Changed under the heap's lock.
    number: AtomicU64,
    /// Armed timers that keep the loop alive.
    alive: AtomicUsize,
    armed: AtomicUsize,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            heap: Mutex::default(),
            first: First {
                after: AtomicU64::new(NEVER),
                base: Instant::now(),
            },
            number: AtomicU64::new(0),
            alive: AtomicUsize::new(0),
            armed: AtomicUsize::new(0),
        }
    }
}

impl First {
    fn get(&self) -> Option<Instant> {
        match self.after.load(Ordering::SeqCst) {
            NEVER => None,
            after => Some(self.base + Duration::from_nanos(after)),
        }
    }

    fn set(&self, heap: &Heap) {
        let after = heap.due.peek().map_or(NEVER, |Reverse(due)| {
            let after = due.when.saturating_duration_since(self.base);
            u64::try_from(after.as_nanos()).map_or(NEVER - 1, |after| after.min(NEVER - 1))
        });
        self.after.store(after, Ordering::SeqCst);
    }
}

impl Timers {
    /// Whether an armed timer keeps the loop alive.
    pub fn any_alive(&self) -> bool {
        self.alive.load(Ordering::SeqCst) > 0
    }

    /// How many are armed.
    pub fn armed(&self) -> usize {
        self.armed.load(Ordering::SeqCst)
    }

    /// When the next one is due.
    pub fn next(&self) -> Option<Instant> {
        if self.armed() == 0 {
            return None;
        }
        self.first.get()
    }

    /// The number that the next arming gets: those of before have smaller ones. 0: there are none.
    pub fn next_number(&self) -> u64 {
        if self.armed() == 0 {
            return 0;
        }
        self.number.load(Ordering::SeqCst)
    }

    /// Takes the first timer that is due now and was armed before the arming `first_new`, with its number.
    pub fn take_due(&self, now: Instant, first_new: u64) -> Option<(Py<PyAny>, u64)> {
        if self.first.get()? > now {
            return None;
        }
        let mut heap = self.heap.lock();
        let Reverse(first) = heap.due.peek()?;
        if first.when > now || first.number >= first_new {
            return None;
        }
        let taken = heap.due.pop();
        self.first.set(&heap);
        taken.map(|Reverse(due)| (due.timer, due.number))
    }

    /// Puts a timer in: the number of this arming.
    pub fn arm(&self, when: Instant, timer: Py<PyAny>) -> u64 {
        let mut heap = self.heap.lock();
        let number = self.number.fetch_add(1, Ordering::SeqCst);
        heap.due.push(Reverse(Due {
            when,
            number,
            timer,
        }));
        self.first.set(&heap);
        number
    }

    /// A cancelled timer's arming stays in the heap until it is due or until such armings are most of the heap. `waits`:
    /// whether a timer still waits for the arming of a number; called under the lock.
    pub fn went_stale(&self, waits: impl Fn(&Py<PyAny>, u64) -> bool) {
        let removed = {
            let mut heap = self.heap.lock();
            heap.stale += 1;
            if heap.stale < 64 || heap.stale * 2 < heap.due.len() {
                return;
            }
            heap.stale = 0;
            let due = std::mem::take(&mut heap.due);
            let (kept, removed): (Vec<_>, Vec<_>) = due
                .into_iter()
                .partition(|Reverse(due)| waits(&due.timer, due.number));
            heap.due = kept.into();
            self.first.set(&heap);
            removed
        };
        // Not under the lock: the timers' callbacks are Python's.
        drop(removed);
    }

    /// For Python's garbage collector: no lock is waited for.
    pub fn visit(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        match self.heap.try_lock() {
            Some(heap) => heap
                .due
                .iter()
                .try_for_each(|Reverse(due)| visit.call(&due.timer)),
            None => Ok(()),
        }
    }

    /// Empties the heap, when the loop ends; the caller drops the timers.
    pub fn take_all(&self) -> Vec<Py<PyAny>> {
        let heap = {
            let mut heap = self.heap.lock();
            let taken = std::mem::take(&mut *heap);
            self.first.set(&heap);
            taken
        };
        self.alive.store(0, Ordering::SeqCst);
        self.armed.store(0, Ordering::SeqCst);
        heap.due.into_iter().map(|Reverse(due)| due.timer).collect()
    }

    /// One was armed, which keeps the loop alive.
    pub fn added(&self) {
        self.armed.fetch_add(1, Ordering::SeqCst);
        self.set_alive(true);
    }

    /// One that was armed is no more; `alive`: it kept the loop alive.
    pub fn removed(&self, alive: bool) {
        self.armed.fetch_sub(1, Ordering::SeqCst);
        if alive {
            self.set_alive(false);
        }
    }

    /// One that is armed keeps the loop alive from now on, or does not any more.
    pub fn set_alive(&self, on: bool) {
        if on {
            self.alive.fetch_add(1, Ordering::SeqCst);
        } else {
            self.alive.fetch_sub(1, Ordering::SeqCst);
        }
    }
}
