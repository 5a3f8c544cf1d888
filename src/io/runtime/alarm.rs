//! A one-shot alarm that one thread sets and another waits for.
//!
//! Setting and clearing it wakes nobody, which is why it is no condition variable: the pump sets it each time it
//! enters Python in a quiet program, and the waiting helper costs nothing unless Python stays for long.

use crate::io::runtime::watch::OneShot;
use std::io;
use std::time::Duration;

/// Set by any thread; waited for by one.
#[cfg(target_os = "linux")]
pub struct Alarm(std::os::fd::OwnedFd);

#[cfg(target_os = "linux")]
impl Alarm {
    /// An alarm that is not set.
    pub fn new() -> io::Result<Self> {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        Ok(Self(timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::CLOEXEC,
        )?))
    }

    fn arm(&self, delay: Duration) {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
        let value = Timespec {
            tv_sec: i64::try_from(delay.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(delay.subsec_nanos()),
        };
        let once = Itimerspec {
            it_interval: Timespec::default(),
            it_value: value,
        };
        // It fails for a bad time or descriptor only, and neither can be had here.
        let _ = timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once);
    }
}

#[cfg(target_os = "linux")]
impl OneShot for Alarm {
    fn set(&self, delay: Duration) {
        self.arm(delay);
    }

    fn clear(&self) {
        self.arm(Duration::ZERO);
    }

    fn wait(&self) {
        let mut count = [0; 8];
        while let Err(rustix::io::Errno::INTR) = rustix::io::read(&self.0, &mut count) {}
    }
}

/// Where there is no timerfd, the waiting thread is woken to learn the time.
#[cfg(not(target_os = "linux"))]
#[derive(Default)]
pub struct Alarm {
    due: std::sync::Mutex<Option<std::time::Instant>>,
    changed: std::sync::Condvar,
}

#[cfg(not(target_os = "linux"))]
impl Alarm {
    /// An alarm that is not set.
    pub fn new() -> io::Result<Self> {
        Ok(Self::default())
    }
}

#[cfg(not(target_os = "linux"))]
impl OneShot for Alarm {
    fn set(&self, delay: Duration) {
        *self
            .due
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner()) =
            Some(std::time::Instant::now() + delay);
        self.changed.notify_one();
    }

    fn clear(&self) {
        *self
            .due
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner()) = None;
    }

    fn wait(&self) {
        let mut due = self
            .due
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        loop {
            let rest = due.map(|due| due.saturating_duration_since(std::time::Instant::now()));
            due = match rest {
                Some(Duration::ZERO) => {
                    *due = None;
                    return;
                }
                Some(rest) => {
                    self.changed
                        .wait_timeout(due, rest)
                        .unwrap_or_else(|poisoned| poisoned.into_inner())
                        .0
                }
                None => self
                    .changed
                    .wait(due)
                    .unwrap_or_else(|poisoned| poisoned.into_inner()),
            };
        }
    }
}
