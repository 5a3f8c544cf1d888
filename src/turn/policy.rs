//! How a loop takes its turns: what differs between one that runs by itself and one that another loop drives.

/// As data, so that no step asks which kind of loop it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// It is the loop of its thread until it ends, and is told of signals there.
    pub owns_thread: bool,
    /// Turns wait for events, and are over once nothing keeps the loop alive. Else a turn is bounded, and sends what was
    /// written before it returns.
    pub waits: bool,
    /// A descriptor says when a turn is wanted.
    pub rings: bool,
    /// Threads that the runtime needs at least: nobody knows where a foreign loop is when a socket becomes ready.
    pub io_threads: usize,
}

impl Policy {
    /// It runs by itself, until nothing is left to do.
    pub const ALONE: Self = Self {
        owns_thread: true,
        waits: true,
        rings: false,
        io_threads: 0,
    };
    /// A foreign loop drives it.
    pub const FOREIGN: Self = Self {
        owns_thread: false,
        waits: false,
        rings: true,
        io_threads: 1,
    };
    /// It lives in an asyncio loop of ours, which sleeps in its runtime.
    pub const HOSTED: Self = Self {
        owns_thread: false,
        waits: false,
        rings: false,
        io_threads: 0,
    };
}
