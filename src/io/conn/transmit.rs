//! What one system call sends of what waits.

use crate::io::conn::outbox::{Segments, VECTORS};
use crate::io::conn::wire::Wire;
use std::io::{self, IoSlice};

/// One system call; false: the kernel had no room for all that was offered.
pub(crate) fn transmit(wire: &Wire, segments: &mut Segments) -> io::Result<bool> {
    loop {
        let mut slices = [IoSlice::new(&[]); VECTORS];
        let (used, offered) = segments.gather(&mut slices);
        if used == 0 {
            return Ok(true);
        }
        match wire.send(&slices[..used], offered) {
            Ok(count) => {
                segments.advance(count);
                return Ok(count == offered);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}
