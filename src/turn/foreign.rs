//! A loop that a foreign loop drives: what makes its descriptor readable, and one bounded turn of it.
//!
//! The I/O runs on threads of its own. When a turn is over the bell waits in the place of the sleeping pump: whatever is
//! queued next rings it.

use crate::io::event::Event;
use crate::io::failure::Failure;
use crate::io::hub::Hub;
use crate::io::runtime::bell::Bell;
use crate::io::runtime::commands::Command;
use crate::shared::loop_state::LoopState;
use pyo3::prelude::*;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The bell, and the alarm for timers.
pub struct Foreign {
    bell: Arc<Bell>,
    waker: Waker,
    /// When the I/O side will nudge the pump for a timer.
    alarm: Option<watch::Sender<Instant>>,
    /// The bell rings for whatever was left before the first turn.
    is_new: bool,
}

/// A signal that comes just before a wait is noticed after this at the latest.
const LONGEST_POLL: Duration = Duration::from_millis(50);

impl Foreign {
    /// Rings it, so that what was posted before the first turn is done.
    pub fn new(bell: Arc<Bell>) -> Self {
        bell.ring();
        Self {
            waker: Waker::from(bell.clone()),
            bell,
            alarm: None,
            is_new: true,
        }
    }

    /// What the foreign loop watches.
    pub fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    /// Waits until a turn is wanted or `deadline` (None: for ever) has come. A signal's handler may raise here, or fork.
    pub fn wait(
        &mut self,
        py: Python<'_>,
        event_loop: &LoopState,
        deadline: Option<Instant>,
    ) -> PyResult<()> {
        if std::mem::take(&mut self.is_new) {
            // There may be nothing.
            event_loop.check_process(py)?;
            self.silence();
            self.listen(event_loop, event_loop.has_own_work());
        }
        loop {
            event_loop.check_process(py)?;
            // What a signal's handler leaves in this thread, which is the loop's, does not ring.
            if event_loop.has_own_work() || event_loop.idlers.count() > 0 {
                return Ok(());
            }
            let deadline = deadline.into_iter().chain(event_loop.timers.next()).min();
            let rest = deadline.map_or(LONGEST_POLL, |at| {
                at.saturating_duration_since(Instant::now())
                    .min(LONGEST_POLL)
            });
            let time = Timespec {
                tv_sec: 0,
                tv_nsec: rest.subsec_nanos() as _,
            };
            let polled = py.detach(|| {
                poll(
                    &mut [PollFd::new(self.bell.reader(), PollFlags::IN)],
                    Some(&time),
                )
            });
            py.check_signals()?;
            match polled {
                Ok(0) if deadline.is_none_or(|at| Instant::now() < at) => {}
                Err(Errno::INTR) => {}
                Err(error) => return Err(Failure::Os(error.into()).into()),
                Ok(_) => return Ok(()),
            }
        }
    }

    /// A turn begins.
    pub fn silence(&self) {
        self.bell.silence();
    }

    /// A turn is over: the bell rings for the next event and the next timer, or at once if something is left.
    pub fn listen(&mut self, event_loop: &LoopState, left: bool) {
        let queued = event_loop
            .hub
            .inbox
            .queue
            .poll_ready(&mut Context::from_waker(&self.waker))
            .is_ready();
        if left || queued || event_loop.has_posts() || event_loop.idlers.count() > 0 {
            self.bell.ring();
        }
        if let Some(due) = event_loop.timers.next() {
            self.set_alarm(event_loop, due);
        }
    }

    /// An earlier alarm stays set; it rings for nothing once.
    fn set_alarm(&mut self, event_loop: &LoopState, due: Instant) {
        match &self.alarm {
            None => {
                let (alarm, times) = watch::channel(due);
                self.alarm = Some(alarm);
                let ringing = Box::pin(nudge_at(event_loop.hub.clone(), times));
                event_loop.hub.reactor.post(Command::Spawn(ringing));
            }
            Some(alarm) => {
                let now = Instant::now();
                alarm.send_if_modified(|at| {
                    let stays = now < *at && *at <= due;
                    if !stays {
                        *at = due;
                    }
                    !stays
                });
            }
        }
    }
}

/// Nudges the pump at each of `times`, of which the last counts.
async fn nudge_at(hub: Arc<Hub>, mut times: watch::Receiver<Instant>) {
    loop {
        let at = *times.borrow_and_update();
        let changed = tokio::select! {
            () = tokio::time::sleep_until(at.into()) => {
                hub.inbox.push_urgent(Event::Nudge);
                times.changed().await
            }
            changed = times.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}
