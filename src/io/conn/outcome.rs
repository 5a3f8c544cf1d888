//! Who begins to send, and what became of that and of a write.

/// Who begins to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Who took the connection off the list of those to flush.
    List,
    /// Anybody else.
    Other,
    /// The task, to which it was left, now that the kernel has room.
    Task,
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Staged {
    /// It waits for the next flush.
    Yes {
        /// The connection was not on the list of those to flush: the caller puts it there.
        list: bool,
    },
    /// The sending side was shut down before.
    Shut,
    /// The connection is broken; the bytes were dropped.
    Broken,
    /// There is no memory for a copy; nothing was staged.
    NoMemory,
}

/// What one offer to the kernel came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// It had room for all that was offered.
    pub room: bool,
    /// Bytes that are sealed and that it did not take: they wait where they were sealed.
    pub sealed: usize,
}

/// What became of a flush.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// Nothing to do, or another thread is sending.
    #[default]
    Nothing,
    /// All that was written is with the kernel.
    Done,
    /// The kernel is full (or others wait for their turn); the task goes on when there is room.
    Blocked,
    /// The connection is broken; the task tells it after what was received.
    Failed,
}

/// What one sender did.
#[derive(Debug, Default)]
pub struct Sent {
    /// How it ended.
    pub flush: Flush,
    /// Bytes that the kernel took.
    pub count: usize,
    /// What waits has crossed a mark since that was last told.
    pub crossed: bool,
}
