//! All that waits for the pump: events, lent memory that comes back, and how much more may be received.

use crate::io::conn::link::Link;
use crate::io::conn::loan::{Returns, Room, Rooms};
use crate::io::event::Event;
use crate::io::failure::no_memory;
use crate::io::inbox::memory::{Limits, Memory};
use crate::io::inbox::queue::{Batch, Queue};
use crate::io::runtime::commands::Commands;
use std::io;
use std::sync::Arc;

/// One for each loop.
pub struct Inbox {
    /// The pump's side takes from it.
    pub queue: Queue<Event>,
    /// What may be received.
    pub memory: Memory,
    /// For large messages.
    pub rooms: Rooms,
    /// Sent large messages, for the pump to let go.
    pub returns: Arc<Returns>,
}

impl Inbox {
    pub(crate) fn new(limits: Limits, commands: Arc<Commands>) -> Self {
        Self {
            queue: Queue::default(),
            memory: Memory::new(limits, commands),
            rooms: Rooms::default(),
            returns: Arc::default(),
        }
    }

    /// Tells the pump.
    pub fn push(&self, event: Event) {
        self.queue.push(event);
    }

    /// Tells the pump ahead of all that was [pushed](Inbox::push).
    pub fn push_urgent(&self, event: Event) {
        self.queue.push_urgent(event);
    }

    /// Tells the pump what `link` received. ENOMEM where there is no memory for it, which ends the connection.
    pub(crate) fn push_data(&self, link: &Link, bytes: &[u8]) -> io::Result<()> {
        let key = link.key;
        self.memory.received(link, bytes.len());
        let pushed = self
            .queue
            .push_bytes(bytes, |place| Event::Data(key, place));
        pushed.map_err(|_| {
            // Its own counters go with the link.
            self.memory.taken(bytes.len());
            no_memory()
        })
    }

    /// Tells the pump that `link` received `count` bytes into `room`.
    pub(crate) fn push_filled(&self, link: &Link, room: Room, count: usize) {
        self.memory.received(link, count);
        let filled = Event::Filled {
            key: link.key,
            owner: room.owner(),
            // A room is far smaller.
            count: count as u32,
        };
        self.queue.push_elsewhere(filled, count);
        self.rooms.told(room);
    }

    /// After sending on the I/O side: an idle pump lets go of what was sent.
    pub(crate) fn tell_returns(&self) {
        if !self.returns.is_empty() {
            self.push_urgent(Event::Nudge);
        }
    }

    /// Drops the events that the pump never took, once it has stopped: an accepted connection among them would keep its
    /// descriptor and the runtime open.
    pub fn forget_untold(&self) {
        let mut untold = Batch::default();
        self.queue.swap(&mut untold);
        drop(untold);
    }

    /// The loop has ended.
    pub(crate) fn clear(&self) {
        self.queue.forget_sleeper();
        self.memory.forget();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_told_is_forgotten() {
        let inbox = Inbox::new(Limits { read: 1, memory: 1 }, Arc::default());
        inbox.push_urgent(Event::Nudge);
        inbox.push(Event::Signal);
        inbox.forget_untold();
        assert_eq!(inbox.queue.sizes(), (0, 0));
    }
}
