//! What a connection's task receives over TLS: records, of which the app gets what they hold.

use crate::io::conn::incoming::with_incoming;
use crate::io::conn::loan::{LARGE, Room};
use crate::io::conn::task::Connection;
use crate::io::conn::wire::Wire;
use crate::io::extend::extend;
use crate::io::failure::no_memory;
use crate::io::tls::failure::TlsFailure;
use crate::io::tls::shared::Tls;
use std::cell::RefCell;
use std::io;
use std::mem::MaybeUninit;

/// One system call receives this much at most.
const SCRATCH: usize = 128 * 1024;

thread_local! {
    /// What the records of one receive held, to be told as one.
    static PLAIN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Connection {
    /// One read of at most `most` bytes; false: end of stream. `fresh`: what the session keeps goes first.
    pub(super) fn receive_records(
        &mut self,
        wire: &Wire,
        tls: &Tls,
        most: usize,
        fresh: bool,
    ) -> io::Result<bool> {
        if fresh {
            self.tell_some(tls, &tls.take_kept(), most)?;
            return Ok(self.fresh || !tls.has_ended());
        }
        let held = tls.held();
        with_incoming(held, most.min(SCRATCH), |buffer| {
            match wire.receive(&mut buffer[held..]) {
                // A Unix socket tells so of a peer that left something unread.
                Err(error) => wire.end_of(error).and_then(|_| self.ended(tls)),
                Ok(Some(0)) => self.ended(tls),
                Ok(Some(got)) => {
                    // The peer is not silent, though its record may not be whole.
                    tls.count_received(got);
                    self.restart_read_timeout();
                    self.open(tls, &mut buffer[..held + got], most)
                }
                Ok(None) => Ok(true),
            }
        })
    }

    /// The stream has ended.
    fn ended(&self, tls: &Tls) -> io::Result<bool> {
        if tls.terms().truncation || tls.has_ended() {
            return Ok(false);
        }
        Err(io::Error::other(TlsFailure::truncated()))
    }

    /// Tells at most `most` bytes; the session keeps the rest.
    fn tell_some(&mut self, tls: &Tls, plain: &[u8], most: usize) -> io::Result<()> {
        let (now, later) = plain.split_at(plain.len().min(most));
        if !now.is_empty() {
            self.tell_data(now)?;
        }
        if !later.is_empty() {
            tls.keep(later)?;
            self.fresh = true;
        }
        Ok(())
    }

    /// Tells what the records hold: at most `most` bytes, as the end of a record may bring more than was received. False:
    /// the peer sends no more.
    fn open(&mut self, tls: &Tls, records: &mut [u8], most: usize) -> io::Result<bool> {
        let large = self.large && (LARGE..=most).contains(&records.len());
        let mut room = if large {
            self.hub.inbox.rooms.take()
        } else {
            None
        };
        let (mut in_room, mut lost) = (0, false);
        let mut plain = PLAIN.take();
        plain.clear();
        let opened = tls.open(records, |bytes| {
            // Nothing is told from behind a gap.
            if lost {
                return;
            }
            if let Some(room) = &mut room
                && plain.is_empty()
                && put(room, in_room, bytes)
            {
                in_room += bytes.len();
            } else {
                lost = extend(&mut plain, bytes).is_err();
            }
        });
        let mut told = if lost { Err(no_memory()) } else { Ok(()) };
        match room {
            Some(room) if in_room >= LARGE => self.tell_filled(room, in_room),
            Some(room) => {
                if in_room > 0 && !lost {
                    // SAFETY: `put` has written as many.
                    told = self.tell_data(unsafe { room.filled(in_room) });
                }
                self.hub.inbox.rooms.put(room);
            }
            None => {}
        }
        // What came before an error goes before it.
        let most = if opened.is_ok() { most } else { usize::MAX };
        let told = told.and_then(|()| self.tell_some(tls, &plain, most));
        PLAIN.set(plain);
        // An alert about what is wrong is an answer, too.
        if opened.as_ref().map_or(true, |opened| opened.wants_write) {
            self.link.sender.note_wants_write();
            self.flush();
        }
        told?;
        match opened {
            Ok(opened) => Ok(self.fresh || !opened.ended),
            Err(failure) => Err(io::Error::other(failure)),
        }
    }
}

/// Puts `bytes` behind the first `filled` of the room; false: it is too small.
fn put(room: &mut Room, filled: usize, bytes: &[u8]) -> bool {
    let space = room.space(usize::MAX);
    let Some(space) = space.get_mut(filled..filled + bytes.len()) else {
        return false;
    };
    for (place, byte) in space.iter_mut().zip(bytes) {
        *place = MaybeUninit::new(*byte);
    }
    true
}
