//! A descriptor that is readable when the loop wants a turn, for a foreign loop that watches descriptors.

use crate::io::failure::Failure;
use crate::io::sys::pipe::Pipe;
use crate::io::sys::platform::{PipeEnd, RawFd};
use std::sync::Arc;
use std::task::Wake;

/// Rung by any thread; silenced by the pump, which then looks what there is.
#[derive(Debug)]
pub struct Bell(Pipe);

impl Bell {
    /// A bell that was not rung.
    pub fn new() -> Result<Self, Failure> {
        Ok(Self(Pipe::new()?))
    }

    /// The descriptor is readable from now on.
    pub fn ring(&self) {
        self.0.fill();
    }

    /// The descriptor is not readable any more.
    pub fn silence(&self) {
        self.0.drain();
    }

    /// The descriptor.
    pub fn reader(&self) -> &PipeEnd {
        self.0.reader()
    }

    /// The descriptor's number.
    pub fn number(&self) -> RawFd {
        self.0.number()
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
    use crate::io::sys::transfer::is_silent;

    #[test]
    fn a_new_bell_is_silent() {
        assert!(is_silent(Bell::new().unwrap().reader()));
    }

    #[test]
    fn a_rung_bell_is_readable_until_it_is_silenced() {
        let bell = Bell::new().unwrap();
        (0..1000).for_each(|_| bell.ring());
        assert!(!is_silent(bell.reader()));
        bell.silence();
        assert!(is_silent(bell.reader()));
    }
}
