//! What is sent: one endless stream of bytes, of which each connection starts at a place of its own. A byte that is
//! lost, doubled or another connection's shifts all that follow.

use std::io;

/// The stream repeats after this many bytes, a prime, so that no message size divides it.
const PERIOD: usize = 65_521;
/// Most bytes of one send or receive.
pub const CHUNK: usize = 256 * 1024;
/// Bytes that are compared at either end of what was received; short messages are compared whole.
const COMPARED: usize = 2048;

pub struct Bytes {
    stream: Vec<u8>,
}

impl Default for Bytes {
    fn default() -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut byte = || {
            // Xorshift.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 56) as u8
        };
        let once: Vec<u8> = (0..PERIOD).map(|_| byte()).collect();
        let stream = once.iter().copied().cycle().take(PERIOD + CHUNK).collect();
        Self { stream }
    }
}

impl Bytes {
    /// `count` bytes from `position` of the stream; at most [`CHUNK`].
    pub fn at(&self, position: u64, count: usize) -> &[u8] {
        let from = (position % PERIOD as u64) as usize;
        &self.stream[from..from + count.min(CHUNK)]
    }

    pub fn check(&self, position: u64, received: &[u8]) -> io::Result<()> {
        let expected = self.at(position, received.len());
        let (head, tail) = (
            received.len().min(COMPARED),
            received.len().saturating_sub(COMPARED),
        );
        if received[..head] == expected[..head] && received[tail..] == expected[tail..] {
            Ok(())
        } else {
            Err(io::Error::other("the echo differs from what was sent"))
        }
    }
}
