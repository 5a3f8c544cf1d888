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
    /// Something to receive.
    pub const READABLE: Self = Self {
        readable: true,
        writable: false,
    };
    /// Room to send.
    pub const WRITABLE: Self = Self {
        readable: false,
        writable: true,
    };

    /// Adds what another has. Whether there was nothing before, and is now.
    pub fn add(&mut self, other: Self) -> bool {
        let before = *self;
        self.readable |= other.readable;
        self.writable |= other.writable;
        before == Self::NONE && *self != Self::NONE
    }

    /// What both have.
    pub fn and(self, other: Self) -> Self {
        Self {
            readable: self.readable && other.readable,
            writable: self.writable && other.writable,
        }
    }
}
