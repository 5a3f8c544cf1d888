//! The read and write timeout of one connection, by one lazy timer.
//!
//! Traffic only stores the time. The timer is set for the earliest deadline, and when it comes the deadline is
//! computed anew: a busy connection re-arms it once a timeout, not once a message.

use super::Failure;
use super::link::{Link, Timeouts};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::time::{Instant, Sleep, sleep_until};

/// Boxed in the task of a connection that has a timeout.
pub(crate) struct Deadlines {
    received: Instant,
    sent: Instant,
    reading: bool,
    sending: bool,
    timeouts: Timeouts,
    /// The epoch in which a timeout was told: nothing more is told in it.
    told: Option<u32>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadlines {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self {
            received: now,
            sent: now,
            reading: false,
            sending: false,
            timeouts: Timeouts::default(),
            told: None,
            timer: None,
        }
    }

    /// Bytes came in.
    pub(crate) fn received(&mut self) {
        self.received = Instant::now();
    }

    /// The kernel took bytes.
    pub(crate) fn sent(&mut self) {
        self.sent = Instant::now();
    }

    /// Ready once an epoch when a timeout passed. `reading` and `sending`: whether each is being waited for; one that
    /// was not starts afresh, as both do in a new epoch.
    pub(crate) fn poll(
        &mut self,
        context: &mut Context<'_>,
        link: &Link,
        epoch: u32,
        reading: bool,
        sending: bool,
    ) -> Poll<Failure> {
        if self.told == Some(epoch) {
            return Poll::Pending;
        }
        if self.told.take().is_some() {
            (self.reading, self.sending) = (false, false);
        }
        let timeouts = link.timeouts();
        self.start_afresh(timeouts, reading, sending);
        let read = timeouts
            .read
            .filter(|_| reading)
            .and_then(|limit| self.received.checked_add(limit));
        let write = timeouts
            .write
            .filter(|_| sending)
            .and_then(|limit| self.sent.checked_add(limit));
        let now = Instant::now();
        if read.is_some_and(|deadline| deadline <= now) {
            self.told = Some(epoch);
            return Poll::Ready(Failure::Timeout("read timeout: nothing was received"));
        }
        if write.is_some_and(|deadline| deadline <= now) {
            self.told = Some(epoch);
            return Poll::Ready(Failure::Stalled("write timeout: the peer took nothing"));
        }
        if let Some(deadline) = read.into_iter().chain(write).min() {
            self.arm(deadline, context);
        }
        Poll::Pending
    }

    fn start_afresh(&mut self, timeouts: Timeouts, reading: bool, sending: bool) {
        let now = Instant::now();
        if reading && (!self.reading || timeouts.read != self.timeouts.read) {
            self.received = now;
        }
        if sending && (!self.sending || timeouts.write != self.timeouts.write) {
            self.sent = now;
        }
        (self.reading, self.sending, self.timeouts) = (reading, sending, timeouts);
    }

    fn arm(&mut self, deadline: Instant, context: &mut Context<'_>) {
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        // A timer that fires too early only computes anew; one that fires too late would be late.
        if timer.deadline() > deadline || timer.is_elapsed() {
            timer.as_mut().reset(deadline);
        }
        if timer.as_mut().poll(context).is_ready() {
            context.waker().wake_by_ref();
        }
    }
}
