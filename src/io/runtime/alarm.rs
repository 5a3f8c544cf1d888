//! A one-shot alarm that one thread sets and another waits for.
//!
//! Setting and clearing it wakes nobody, which is why it is no condition variable: the pump sets it each time it
//! enters Python in a quiet program, and the waiting helper costs nothing unless Python stays for long.

use crate::io::runtime::watch::OneShot;
use crate::io::sys::platform::Timer;
use std::io;
use std::time::Duration;

/// Set by any thread; waited for by one.
pub struct Alarm(Timer);

impl Alarm {
    /// An alarm that is not set.
    pub fn new() -> io::Result<Self> {
        Timer::new().map(Self)
    }
}

impl OneShot for Alarm {
    fn set(&self, delay: Duration) {
        self.0.set(delay);
    }

    fn clear(&self) {
        self.0.clear();
    }

    fn wait(&self) {
        self.0.wait();
    }
}
