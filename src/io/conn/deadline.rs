//! The read and write timeout of one connection, by one lazy timer.
//!
//! A kernel has room for megabytes and tells of new room only when a good part of it is free: a slow reader may keep it
//! from taking bytes for many seconds. So what the peer acknowledges counts as well, and is looked for a few times in
//! each write timeout.
//!
//! Traffic only stores the time of the turn. The timer is set for the earliest deadline, and when it comes the deadline
//! is computed anew: a busy connection re-arms it once a timeout, not once a message, and looks at nothing else as long
//! as nothing changes.

use crate::io::conn::link::{Link, Timeouts};
use crate::io::event::Timeout;
use crate::io::hub::Hub;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// How often in a write timeout the acknowledged bytes are looked at: it comes later than it should by one part at most.
const LOOKS: u32 = 32;
/// However long the timeout is; some are too long to be added to a time.
const RAREST_LOOK: Duration = Duration::from_secs(60);

/// What a connection waits for, and the epoch in which it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Awaited {
    pub(crate) epoch: u32,
    pub(crate) reading: bool,
    pub(crate) sending: bool,
}

/// Boxed in the task of a connection that has a timeout.
pub(crate) struct Deadlines {
    last_received: Instant,
    last_sent: Instant,
    /// When bytes came in and went out since, as `Reactor::now` says it; 0: none did.
    received_tick: u64,
    sent_tick: u64,
    /// Bytes that the peer had acknowledged at the last look, and when the next is due.
    acknowledged: u64,
    next_look: Instant,
    /// As of the last poll; None: a timeout was told, or there was none.
    awaited: Option<Awaited>,
    timeouts: Timeouts,
    /// The epoch in which a timeout was told: nothing more is told in it.
    told: Option<u32>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadlines {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self {
            last_received: now,
            last_sent: now,
            received_tick: 0,
            sent_tick: 0,
            acknowledged: 0,
            next_look: now,
            awaited: None,
            timeouts: Timeouts::default(),
            told: None,
            timer: None,
        }
    }

    /// Bytes came in.
    pub(crate) fn received(&mut self, now: u64) {
        self.received_tick = now;
    }

    /// The kernel took bytes.
    pub(crate) fn sent(&mut self, now: u64) {
        self.sent_tick = now;
    }

    /// Whether there is a write timeout, as far as the deadlines know in this epoch.
    pub(crate) fn may_mind_sending(&self, epoch: u32) -> bool {
        self.timeouts.write.is_some() || self.awaited.is_none_or(|awaited| awaited.epoch != epoch)
    }

    /// Nothing has changed since the last poll, and no deadline has come.
    fn is_quiet(&self, awaited: Awaited) -> bool {
        self.awaited == Some(awaited)
            && self.timer.as_ref().is_some_and(|timer| !timer.is_elapsed())
    }

    /// The app enabled a direction, or set the timeouts anew: they start with the next poll.
    pub(crate) fn start_afresh(&mut self, reading: bool, sending: bool) {
        if let Some(awaited) = &mut self.awaited {
            awaited.reading &= !reading;
            awaited.sending &= !sending;
        }
    }

    /// Ready once an epoch when a timeout passed. What was not awaited before starts afresh.
    pub(crate) fn poll(
        &mut self,
        context: &mut Context<'_>,
        hub: &Hub,
        link: &Link,
        awaited: Awaited,
    ) -> Poll<Timeout> {
        if self.told == Some(awaited.epoch) || self.is_quiet(awaited) {
            return Poll::Pending;
        }
        self.note_traffic(hub, link.delivered_at());
        if self.told.take().is_some() {
            self.awaited = None;
        }
        let timeouts = link.timeouts();
        self.begin(timeouts, awaited);
        let now = Instant::now();
        let read = timeouts.read.filter(|_| awaited.reading);
        let read = read.and_then(|limit| self.read_deadline(limit, now, link));
        let write = timeouts.write.filter(|_| awaited.sending);
        if let Some(limit) = write.filter(|_| self.next_look <= now) {
            self.look(link.bytes_acknowledged(), now, limit);
        }
        let next_look = write.map(|_| self.next_look);
        let write = write.and_then(|limit| self.last_sent.checked_add(limit));
        if read.is_some_and(|deadline| deadline <= now) {
            self.told = Some(awaited.epoch);
            return Poll::Ready(Timeout::Read(link.bytes_heard()));
        }
        if write.is_some_and(|deadline| deadline <= now) {
            self.told = Some(awaited.epoch);
            return Poll::Ready(Timeout::Write(self.acknowledged));
        }
        if let Some(deadline) = read.into_iter().chain(write).chain(next_look).min() {
            self.arm(deadline, context);
        }
        Poll::Pending
    }

    /// When the peer has been silent for `limit`. A peer whose bytes wait for Python, or in the kernel, is not: it may be us
    /// who did not look, as the process stood still.
    fn read_deadline(&mut self, limit: Duration, now: Instant, link: &Link) -> Option<Instant> {
        let deadline = self.last_received.checked_add(limit)?;
        if deadline > now {
            return Some(deadline);
        }
        if link.flow.unread() > 0 || !link.is_silent_since(link.bytes_heard()) {
            self.last_received = now;
        }
        self.last_received.checked_add(limit)
    }

    /// `delivered`: when Python last had something of the connection, from which on the peer has time to answer.
    fn note_traffic(&mut self, hub: &Hub, delivered: u64) {
        let latest = |before: Instant, since: u64| match since {
            0 => before,
            since => before.max(hub.reactor.instant(since)),
        };
        self.last_received = latest(self.last_received, std::mem::take(&mut self.received_tick));
        self.last_received = latest(self.last_received, delivered);
        self.last_sent = latest(self.last_sent, std::mem::take(&mut self.sent_tick));
    }

    fn begin(&mut self, timeouts: Timeouts, awaited: Awaited) {
        let now = Instant::now();
        let (reading, sending) = self
            .awaited
            .map_or((false, false), |before| (before.reading, before.sending));
        if awaited.reading && (!reading || timeouts.read != self.timeouts.read) {
            self.last_received = now;
        }
        if awaited.sending && (!sending || timeouts.write != self.timeouts.write) {
            (self.last_sent, self.next_look) = (now, now);
        }
        (self.awaited, self.timeouts) = (Some(awaited), timeouts);
    }

    fn look(&mut self, acknowledged: u64, now: Instant, limit: Duration) {
        if acknowledged > self.acknowledged {
            self.acknowledged = acknowledged;
            self.last_sent = now;
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
