//! What one system call sends of what waits.

use crate::io::conn::link::Link;
use crate::io::conn::outcome::{By, Offer, Sent};
use crate::io::conn::segments::{Segments, VECTORS};
use crate::io::conn::wire::Wire;
use crate::io::tls::shared::Tls;
use std::cell::RefCell;
use std::io::{self, IoSlice};

/// Plain bytes that are sealed for one call: while the kernel is full no more than so many wait sealed.
const SEALED: usize = 128 * 1024;

thread_local! {
    /// What is sealed for the call that this thread makes.
    static RECORDS: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Link {
    /// Sends what is staged, unless another thread is at it. `transmit` is [`transmit`], or the task's version of it that
    /// keeps Tokio's readiness.
    pub(crate) fn send(
        &self,
        by: By,
        transmit: impl Fn(&Wire, &mut Segments, bool) -> io::Result<Offer>,
    ) -> Sent {
        self.sender.send(by, transmit, Wire::finish)
    }
}

/// One system call. `last`: a session says so after them.
#[inline(always)]
pub(crate) fn transmit(wire: &Wire, segments: &mut Segments, last: bool) -> io::Result<Offer> {
    match wire.tls() {
        None => transmit_plain(wire, segments),
        Some(tls) => transmit_sealed(wire, tls, segments, last),
    }
}

#[inline(always)]
fn transmit_plain(wire: &Wire, segments: &mut Segments) -> io::Result<Offer> {
    let (mut room, sealed) = (true, 0);
    let mut slices = [IoSlice::new(&[]); VECTORS];
    let (used, offered) = segments.gather(&mut slices);
    if used > 0 {
        let count = send(wire, &slices[..used], offered)?;
        segments.advance(count);
        room = count == offered;
    }
    Ok(Offer { room, sealed })
}

/// How much the kernel took; nothing: it is full.
fn send(wire: &Wire, slices: &[IoSlice<'_>], offered: usize) -> io::Result<usize> {
    loop {
        match wire.send(slices, offered) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
            result => return result,
        }
    }
}

fn transmit_sealed(
    wire: &Wire,
    tls: &Tls,
    segments: &mut Segments,
    last: bool,
) -> io::Result<Offer> {
    RECORDS.with_borrow_mut(|records| {
        records.clear();
        seal(tls, segments, last, records)?;
        send_records(wire, tls, records)
    })
}

/// Seals a call's worth off the front of `segments`.
fn seal(tls: &Tls, segments: &mut Segments, last: bool, records: &mut Vec<u8>) -> io::Result<()> {
    let mut slices = [IoSlice::new(&[]); VECTORS];
    let (used, offered) = segments.gather(&mut slices);
    let mut left = SEALED;
    let pieces = slices[..used].iter().map_while(|slice| {
        let piece = &slice[..slice.len().min(left)];
        left -= piece.len();
        (!piece.is_empty()).then_some(piece)
    });
    // What is last is so if nothing is left of it.
    let last = last && offered == segments.len() && offered <= SEALED;
    tls.seal(pieces, last, records)?;
    segments.advance(offered.min(SEALED));
    Ok(())
}

/// What the kernel does not take goes back to the session.
pub(crate) fn send_records(wire: &Wire, tls: &Tls, records: &[u8]) -> io::Result<Offer> {
    let (mut room, mut sealed) = (true, 0);
    if !records.is_empty() {
        let count = send(wire, &[IoSlice::new(records)], records.len())?;
        tls.count_taken(count as u64);
        room = count == records.len();
        if !room {
            sealed = tls.put_back(&records[count..])?;
        }
    }
    Ok(Offer { room, sealed })
}
