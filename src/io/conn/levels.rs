//! What waits to be sent against the app's limits.

/// Write buffer limits in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Marks {
    /// More than this left after a flush: the buffer is full.
    pub high: usize,
    /// Fallen to this: it is drained.
    pub low: usize,
}

/// See the module's page.
#[derive(Debug)]
pub struct Levels {
    /// The limits.
    pub marks: Marks,
    /// The high mark was crossed, and the low one not since.
    full: bool,
    /// What the app was told last was the high one.
    told_full: bool,
}

impl Levels {
    /// Below both.
    pub fn new(marks: Marks) -> Self {
        Self {
            marks,
            full: false,
            told_full: false,
        }
    }

    /// True when what is `left` has crossed a mark: the high one, then the low one, and so on by turns.
    pub fn crossed(&mut self, left: usize) -> bool {
        let crossed = if self.full {
            left <= self.marks.low
        } else {
            left > self.marks.high
        };
        self.full ^= crossed;
        crossed
    }

    /// For each crossing that is told: whether it was that of the high mark. They are crossed by turns, so the order in
    /// which two threads told them is of no concern.
    pub fn next_is_full(&mut self) -> bool {
        self.told_full = !self.told_full;
        self.told_full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marks_are_crossed_by_turns() {
        let mut levels = Levels::new(Marks { high: 10, low: 4 });
        assert!(!levels.crossed(10), "the high mark itself is not too much");
        assert!(levels.crossed(11) && !levels.crossed(11));
        assert!(!levels.crossed(5));
        assert!(levels.crossed(4) && !levels.crossed(4));
        assert!(levels.next_is_full() && !levels.next_is_full());
    }
}
