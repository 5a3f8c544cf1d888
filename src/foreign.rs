//! A loop that a foreign loop drives: what makes its descriptor readable, and one bounded turn of it.
//!
//! The I/O runs on threads of its own. When a turn is over the bell waits in the place of the sleeping pump: whatever is
//! queued next rings it.

use crate::core::Core;
use crate::io::Event;
use crate::io::bell::Bell;
use crate::io::hub::Command;
use pyo3::prelude::*;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Instant;

/// The bell, and the alarm for timers.
pub struct Foreign {
    bell: Arc<Bell>,
    waker: Waker,
    /// The earliest time at which the I/O side will nudge the pump.
    alarm: Option<Instant>,
}

impl Foreign {
    /// Rung, so that what was posted before the first turn is done.
    pub fn new() -> std::io::Result<Self> {
        let bell = Arc::new(Bell::new()?);
        bell.ring();
        Ok(Self {
            waker: Waker::from(bell.clone()),
            bell,
            alarm: None,
        })
    }

    /// Readable when a turn is wanted.
    pub fn fileno(&self) -> RawFd {
        self.bell.as_fd().as_raw_fd()
    }

    /// Waits until a turn is wanted or `deadline` (None: for ever) has come. A signal's handler may raise here.
    pub fn wait(&self, py: Python<'_>, deadline: Option<Instant>) -> PyResult<()> {
        loop {
            let rest = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            let rest = rest.map(|rest| {
                Timespec::try_from(rest).unwrap_or(Timespec {
                    tv_sec: i64::MAX,
                    tv_nsec: 0,
                })
            });
            let polled =
                py.detach(|| poll(&mut [PollFd::new(&self.bell, PollFlags::IN)], rest.as_ref()));
            match polled {
                Err(Errno::INTR) => py.check_signals()?,
                Err(error) => return Err(std::io::Error::from(error).into()),
                Ok(_) => return Ok(()),
            }
        }
    }

    /// A turn begins.
    pub fn silence(&self) {
        self.bell.silence();
    }

    /// A turn is over: the bell rings for the next event and the next timer, or at once if something is left.
    pub fn listen(&mut self, core: &Core, left: bool) {
        let queued = core
            .hub
            .queue
            .poll_ready(&mut Context::from_waker(&self.waker))
            .is_ready();
        if left || queued || core.has_posts() {
            self.bell.ring();
        }
        if let Some(due) = core.timers.next() {
            self.set_alarm(core, due);
        }
    }

    /// Earlier alarms stay set; they ring for nothing at most once.
    fn set_alarm(&mut self, core: &Core, due: Instant) {
        let now = Instant::now();
        if self.alarm.is_some_and(|alarm| now < alarm && alarm <= due) {
            return;
        }
        self.alarm = Some(due);
        let hub = core.hub.clone();
        core.hub.post(Command::Spawn(Box::pin(async move {
            tokio::time::sleep_until(due.into()).await;
            hub.queue.push_urgent(Event::Nudge);
        })));
    }
}
