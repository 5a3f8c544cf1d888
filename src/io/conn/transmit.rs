//! What one system call sends of what waits.

use crate::io::conn::link::Link;
use crate::io::conn::outcome::{By, Sent};
use crate::io::conn::segments::{Segments, VECTORS};
use crate::io::conn::wire::Wire;
use std::io::{self, IoSlice};

impl Link {
    /// Sends what is staged, unless another thread is at it. `transmit` is [`transmit`], or the task's version of it that
    /// keeps Tokio's readiness.
    pub(crate) fn send(
        &self,
        by: By,
        transmit: impl Fn(&Wire, &mut Segments) -> io::Result<bool>,
    ) -> Sent {
        self.sender.send(by, transmit, Wire::finish)
    }
}

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
