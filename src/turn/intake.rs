//! The first part of a turn: what was written is sent, the runtime driven, and what came is taken.
//!
//! The interpreter's lock is released once for all of it; where other threads compute ([`Contention`]), it is kept for
//! many turns.

use crate::io::failure::Failure;
use crate::io::runtime::driver::{Driver, PumpState, Wait};
use crate::io::sys::platform::epoll::Selector;
use crate::shared::in_hand::InHand;
use crate::shared::loop_state::LoopState;
use crate::turn::contention;
use crate::turn::contention::Contention;
use crate::turn::flusher::Flusher;
use crate::turn::share::Share;
use pyo3::prelude::*;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A timer that is late by more waits until the kernel was asked what came before it.
const LATE: Duration = Duration::from_millis(5);
/// After a late timer, drive this often: accepting a connection is one drive, receiving its first bytes another.
const LOOKS: u32 = 3;
/// After Python stalled for longer than `STALLED`, timers wait up to `PUT_OFF` turns, so that connections still in the backlog
/// are served first.
const STALLED: Duration = Duration::from_millis(20);
const PUT_OFF: u32 = 3;
/// Threads of the runtime's own go on while Python computes: only the whole process's standstill keeps them from looking.
const STANDSTILL: Duration = Duration::from_millis(50);
/// Turns with calls that are ready may follow one another without a look at the kernel's events: so many, and no longer
/// than so.
const UNPOLLED_TURNS: u32 = 4;
const UNPOLLED_TIME: Duration = Duration::from_micros(50);

/// One per pump.
pub struct Intake {
    driver: Driver,
    pump: PumpState,
    contention: Contention,
    share: Share,
    /// Turns since the runtime was driven.
    unpolled: u32,
    /// Turns since a late timer was due, which came first.
    put_off: u32,
    /// When the events of this turn were taken: timers that are due later wait for the next.
    now: Instant,
}

impl Intake {
    /// Starts the runtime.
    pub(crate) fn start(
        event_loop: &LoopState,
        io_threads: usize,
        host: Option<Arc<Selector>>,
    ) -> Result<Self, Failure> {
        Ok(Self {
            driver: match host {
                None => Driver::start(event_loop.hub.clone(), io_threads)?,
                host => Driver::start_driven(event_loop.hub.clone(), host)?,
            },
            pump: PumpState::default(),
            contention: Contention::default(),
            share: Share::default(),
            unpolled: 0,
            put_off: 0,
            now: Instant::now(),
        })
    }

    /// Ends the runtime. With the interpreter's lock released.
    pub fn stop(self) {
        self.driver.stop(self.pump);
    }

    /// When the events were taken: timers that were due then are told of after them. None: what has come goes first, and
    /// may be followed by more of before.
    pub fn timers_until(&mut self, event_loop: &LoopState, events: usize) -> Option<Instant> {
        let waits = events > 0 && self.put_off < PUT_OFF && self.is_late(event_loop, STALLED);
        self.put_off = if waits { self.put_off + 1 } else { 0 };
        (!waits).then_some(self.now)
    }

    /// Whether a flush in the middle of the turn keeps the interpreter.
    pub fn keeps(&self) -> bool {
        self.contention.is_seen()
    }

    /// Waits for events, as long as nothing else is to be done, and takes them.
    pub fn wait(
        &mut self,
        py: Python<'_>,
        event_loop: &LoopState,
        flusher: &mut Flusher,
        hand: &mut InHand,
    ) -> PyResult<()> {
        let wait = self.next_wait(event_loop);
        if matches!(wait, Wait::No)
            && event_loop.idlers.count() == 0
            && self.may_skip_drive(event_loop, flusher)
        {
            hand.refill(&event_loop.hub.inbox.queue);
            return Ok(());
        }
        self.wait_for(py, event_loop, wait, flusher, hand)
    }

    /// In the place of a host's wait, which is `until` then (None: for ever), unless it has something to do itself: waits for the
    /// events of both. Whether something in its selector has become ready.
    pub fn wait_with_host(
        &mut self,
        py: Python<'_>,
        event_loop: &LoopState,
        wait: Wait,
        flusher: &mut Flusher,
        hand: &mut InHand,
    ) -> PyResult<bool> {
        let wait = match (self.next_wait(event_loop), wait) {
            _ if !hand.is_done() => Wait::No,
            (Wait::No, _) | (_, Wait::No) => Wait::No,
            (Wait::Until(own), Wait::Until(theirs)) => Wait::Until(own.min(theirs)),
            (Wait::Until(due), _) | (_, Wait::Until(due)) => Wait::Until(due),
            _ => Wait::Forever,
        };
        self.wait_for(py, event_loop, wait, flusher, hand)?;
        Ok(self.driver.take_host_ready())
    }

    fn wait_for(
        &mut self,
        py: Python<'_>,
        event_loop: &LoopState,
        wait: Wait,
        flusher: &mut Flusher,
        hand: &mut InHand,
    ) -> PyResult<()> {
        self.unpolled = 0;
        if self.contention.keeps() && self.wait_with_gil(event_loop, wait, flusher, hand) {
            return contention::give_way(py);
        }
        let measured = self.contention.releases();
        let is_busy = matches!(wait, Wait::No);
        let mut share = self.share;
        let look = || {
            flusher.flush(event_loop);
            self.drive_and_take(event_loop, wait, flusher, hand);
            measured.then(Instant::now)
        };
        let since = if is_busy {
            share.without_gil(py, look)
        } else {
            py.detach(look)
        };
        self.share = share;
        if let Some(since) = since {
            self.contention.waited(since.elapsed());
        }
        Ok(())
    }

    /// Takes what is there, where the runtime is driven elsewhere.
    pub fn take_without_wait(
        &mut self,
        py: Python<'_>,
        event_loop: &LoopState,
        flusher: &mut Flusher,
        hand: &mut InHand,
    ) {
        let keeps = self.contention.is_seen();
        let mut take = || {
            flusher.flush(event_loop);
            self.now = Instant::now();
            if !self.driver.has_threads() && self.is_late(event_loop, LATE) {
                return self.drive_and_take(event_loop, Wait::No, flusher, hand);
            }
            if self.is_late(event_loop, STANDSTILL) {
                self.driver.settle();
            }
            if hand.is_done() {
                hand.refill(&event_loop.hub.inbox.queue);
            }
        };
        if keeps {
            take();
        } else {
            py.detach(take);
        }
    }

    /// Whether this turn, which has calls that are ready, may do without driving the runtime: that costs system calls.
    fn may_skip_drive(&mut self, event_loop: &LoopState, flusher: &Flusher) -> bool {
        self.unpolled += 1;
        self.unpolled <= UNPOLLED_TURNS
            && self.put_off == 0
            && flusher.untold() == 0
            && event_loop.hub.reactor.python_time() < UNPOLLED_TIME
            && !event_loop.hub.reactor.is_dirty()
    }

    /// Flushes and takes what comes without releasing the interpreter; false: there is nothing to do.
    fn wait_with_gil(
        &mut self,
        event_loop: &LoopState,
        wait: Wait,
        flusher: &mut Flusher,
        hand: &mut InHand,
    ) -> bool {
        flusher.flush(event_loop);
        let due = matches!(wait, Wait::No) || flusher.untold() > 0;
        let wait = if due {
            Wait::No
        } else {
            Wait::Spin(Instant::now() + contention::SPIN)
        };
        self.drive_and_take(event_loop, wait, flusher, hand);
        due || !hand.is_empty() || self.driver.is_host_ready()
    }

    /// Drives the runtime and takes what is queued.
    fn drive_and_take(
        &mut self,
        event_loop: &LoopState,
        wait: Wait,
        flusher: &Flusher,
        hand: &mut InHand,
    ) {
        // What was sent by reference is let go before a wait.
        let idle = flusher.untold() == 0 && !event_loop.buffers.has_returns();
        let wait = if idle { wait } else { Wait::No };
        self.driver.drive(&mut self.pump, wait);
        if event_loop.timers.armed() > 0 {
            self.now = Instant::now();
            if self.is_late(event_loop, LATE) {
                self.driver.settle();
                for _ in 0..LOOKS {
                    self.driver.drive(&mut self.pump, Wait::No);
                }
            }
        }
        if hand.is_done() {
            hand.refill(&event_loop.hub.inbox.queue);
        }
    }

    /// Whether a timer is late by so much that it was not for want of a turn: the process may have stood still, and the kernel have
    /// what came before the timer was due.
    fn is_late(&self, event_loop: &LoopState, by: Duration) -> bool {
        let next = event_loop.timers.next();
        next.is_some_and(|due| due + by <= self.now)
    }

    fn next_wait(&mut self, event_loop: &LoopState) -> Wait {
        if event_loop.has_posts() || event_loop.idlers.count() > 0 {
            return Wait::No;
        }
        let Some(due) = event_loop.timers.next() else {
            return Wait::Forever;
        };
        self.now = Instant::now();
        if due <= self.now {
            Wait::No
        } else {
            Wait::Until(due)
        }
    }
}
