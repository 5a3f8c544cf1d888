//! The names of what is open, and how many of those keep the loop alive.

/// Names a connection, an attempt or a listener: an index into the pump's table and a generation, so that an event
/// of one that is gone never reaches the next in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// Place in the pump's table.
    pub index: u32,
    /// Grows each time the place is given away.
    pub generation: u32,
}
