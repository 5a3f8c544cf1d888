//! The read and write timeout of one connection, by one lazy timer.
//!
//! A kernel has room for megabytes and tells of new room only when a good part of it is free: a slow reader may keep it
//! from taking bytes for many seconds. So what the peer acknowledges counts as well, and is looked for a few times in
//! each write timeout.
//!
//! Traffic only stores the time. The timer is set for the earliest deadline, and when it comes the deadline is
//! computed anew: a busy connection re-arms it once a timeout, not once a message.

use super::Failure;
use super::link::{Link, Timeouts};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// How often in a write timeout the acknowledged bytes are looked at: it comes later than it should by one part at most.
const LOOKS: u32 = 32;
/// However long the timeout is; some are too long to be added to a time.
const RAREST_LOOK: Duration = Duration::from_secs(60);

/// Boxed in the task of a connection that has a timeout.
pub(crate) struct Deadlines {
    received: Instant,
    sent: Instant,
    /// Bytes that the peer had acknowledged at the last look, and when the next is due.
    acknowledged: u64,
    next_look: Instant,
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
            acknowledged: 0,
            next_look: now,
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
    /// was not starts afresh, as both do in a new epoch. `acknowledged`: the bytes that the peer has acknowledged by now.
    pub(crate) fn poll(
        &mut self,
        context: &mut Context<'_>,
        link: &Link,
        acknowledged: impl FnOnce() -> u64,
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
        let now = Instant::now();
        let write = timeouts.write.filter(|_| sending);
        if let Some(limit) = write.filter(|_| self.next_look <= now) {
            self.look(acknowledged(), now, limit);
        }
        let next_look = write.map(|_| self.next_look);
        let write = write.and_then(|limit| self.sent.checked_add(limit));
        if read.is_some_and(|deadline| deadline <= now) {
            self.told = Some(epoch);
            return Poll::Ready(Failure::Timeout("read timeout: nothing was received"));
        }
        if write.is_some_and(|deadline| deadline <= now) {
            self.told = Some(epoch);
            return Poll::Ready(Failure::Stalled("write timeout: the peer took nothing"));
        }
        if let Some(deadline) = read.into_iter().chain(write).chain(next_look).min() {
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
            (self.sent, self.next_look) = (now, now);
        }
        (self.reading, self.sending, self.timeouts) = (reading, sending, timeouts);
    }

    fn look(&mut self, acknowledged: u64, now: Instant, limit: Duration) {
        if acknowledged > self.acknowledged {
            self.acknowledged = acknowledged;
            self.sent = now;
        }
        self.next_look = now + (limit / LOOKS).min(RAREST_LOOK);
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
