//! A descriptor that is readable when the loop wants a turn, for a foreign loop that watches descriptors.

use crate::io::failure::Failure;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::task::Wake;

/// Rung by any thread; silenced by the pump, which then looks what there is.
#[derive(Debug)]
pub struct Bell {
    ring: UnixStream,
    hear: UnixStream,
}

impl Bell {
    /// A bell that was not rung.
    pub fn new() -> Result<Self, Failure> {
        let (ring, hear) = UnixStream::pair()?;
        ring.set_nonblocking(true)?;
        hear.set_nonblocking(true)?;
        Ok(Self { ring, hear })
    }

    /// The descriptor is readable from now on.
    pub fn ring(&self) {
        // If it is full, it is readable as well.
        let _ = (&self.ring).write(&[0]);
    }

    /// The descriptor is not readable any more.
    pub fn silence(&self) {
        let mut bytes = [0; 64];
        while matches!((&self.hear).read(&mut bytes), Ok(count) if count == bytes.len()) {}
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.hear.as_fd()
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    fn is_readable(bell: &Bell) -> bool {
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        poll(&mut [PollFd::new(bell, PollFlags::IN)], Some(&now)).unwrap() == 1
    }

    #[test]
    fn a_new_bell_is_silent() {
        assert!(!is_readable(&Bell::new().unwrap()));
    }

    #[test]
    fn a_rung_bell_is_readable_until_it_is_silenced() {
        let bell = Bell::new().unwrap();
        (0..1000).for_each(|_| bell.ring());
        assert!(is_readable(&bell));
        bell.silence();
        assert!(!is_readable(&bell));
    }
}
