//! Two connected ends: a byte that is written to one makes the other readable, for whoever polls it.

use crate::io::sys::platform::{self, RawFd};
use std::io::{self, Read, Write};

/// Neither end blocks.
#[derive(Debug)]
pub(crate) struct Pipe {
    write: platform::PipeEnd,
    read: platform::PipeEnd,
}

impl Pipe {
    /// An empty one.
    pub(crate) fn new() -> io::Result<Self> {
        let (write, read) = platform::pipe()?;
        write.set_nonblocking(true)?;
        read.set_nonblocking(true)?;
        Ok(Self { write, read })
    }

    /// Readable from now on.
    pub(crate) fn fill(&self) {
        // If it is full, it is readable as well.
        let _ = (&self.write).write(&[0]);
    }

    /// Not readable any more.
    pub(crate) fn drain(&self) {
        let mut bytes = [0; 64];
        while matches!((&self.read).read(&mut bytes), Ok(count) if count == bytes.len()) {}
    }

    /// The end that is polled.
    pub(crate) fn reader(&self) -> &platform::PipeEnd {
        &self.read
    }

    /// The number of that end.
    pub(crate) fn number(&self) -> RawFd {
        platform::number(&self.read)
    }
}
