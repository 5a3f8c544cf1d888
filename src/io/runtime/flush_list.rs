//! Connections with something to send, each once: its sender knows whether it is here.
//!
//! Whoever stages bytes puts the connection here if it was not; the pump, or the helper, takes all out, and each sender
//! forgets that it was here in the step in which it looks what is staged.

use crate::io::sync::Mutex;

/// One for each loop.
#[derive(Debug)]
pub struct FlushList<T> {
    /// Leaf lock.
    list: Mutex<Vec<T>>,
}

impl<T> Default for FlushList<T> {
    fn default() -> Self {
        Self {
            list: Mutex::new(Vec::new()),
        }
    }
}

impl<T> FlushList<T> {
    /// Puts one in that its sender said is not here.
    pub fn push(&self, one: T) {
        self.list.lock().push(one);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.lock().is_empty()
    }

    /// Takes all out, in exchange for an empty `list`, whose allocation is kept.
    pub fn swap(&self, list: &mut Vec<T>) {
        std::mem::swap(&mut *self.list.lock(), list);
    }

    /// Takes all out, and the allocation stays.
    pub fn take(&self) -> Vec<T> {
        let mut taken = Vec::new();
        taken.append(&mut self.list.lock());
        taken
    }
}
