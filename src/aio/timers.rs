//! The calls that wait for their time.

use pyo3::prelude::*;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Cancelled ones are thrown out before they are due when there are more than so many, and they are the most.
const MANY_CANCELLED: usize = 100;

/// One of them: a timer handle, ours or asyncio's.
pub(crate) struct Due {
    when: f64,
    /// Of two that are due at the same time, the one that was made first goes first.
    number: u64,
    pub(crate) handle: Py<PyAny>,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    /// The heap has its greatest on top: the earliest.
    fn cmp(&self, other: &Self) -> Ordering {
        other
            .when
            .total_cmp(&self.when)
            .then(other.number.cmp(&self.number))
    }
}

/// A heap of them.
#[derive(Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Due>,
    made: u64,
}

impl Timers {
    pub(crate) fn push(&mut self, when: f64, handle: Py<PyAny>) {
        self.made += 1;
        self.heap.push(Due {
            when,
            number: self.made,
            handle,
        });
    }

    /// When the next is due, in seconds by the loop's clock.
    #[inline]
    pub(crate) fn next(&self) -> Option<f64> {
        self.heap.peek().map(|due| due.when)
    }

    /// The next one's handle, which stays.
    pub(crate) fn first(&self) -> Option<&Py<PyAny>> {
        self.heap.peek().map(|due| &due.handle)
    }

    pub(crate) fn pop(&mut self) -> Option<Due> {
        self.heap.pop()
    }

    /// Whether so many cancelled ones are to be thrown out.
    #[inline]
    pub(crate) fn is_littered(&self, cancelled: usize) -> bool {
        cancelled > MANY_CANCELLED && cancelled * 2 > self.heap.len()
    }

    /// All of them, in no order.
    pub(crate) fn take_all(&mut self) -> Vec<Due> {
        std::mem::take(&mut self.heap).into_vec()
    }

    /// Puts those back that were taken out; others may have come.
    pub(crate) fn put_back(&mut self, timers: Vec<Due>) {
        self.heap.extend(timers);
    }

    pub(crate) fn each(&self) -> impl Iterator<Item = &Py<PyAny>> {
        self.heap.iter().map(|due| &due.handle)
    }
}
