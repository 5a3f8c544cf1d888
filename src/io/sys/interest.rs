//! What somebody wants to know of a descriptor.

/// What is wanted, or told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Interest {
    /// There may be something to receive or to accept.
    pub readable: bool,
    /// There may be room to send.
    pub writable: bool,
}

impl Interest {
    /// Nothing.
    pub const NONE: Self = Self {
        readable: false,
        writable: false,
    };

    /// What both have.
    pub fn and(self, other: Self) -> Self {
        Self {
            readable: self.readable && other.readable,
            writable: self.writable && other.writable,
        }
    }
}
