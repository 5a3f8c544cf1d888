//! When the helper looks whether Python keeps the pump: each time that an alarm rings, which one of two minds.
//!
//! ```text
//!            ┌── a look that finds a busy pump, or one that is away; or the pump hands the alarm over ──┐
//!            │                                                                                          ↓
//!   parked: the pump sets the alarm when it                                    watching: the helper sets the alarm
//!   leaves for Python, clears it when it is back                               anew after each look
//!            ↑                                                                                          │
//!            └────────────────── a look that finds a quiet pump, which is in the runtime ───────────────┘
//! ```
//!
//! So a busy program pays nothing for it, and a quiet one two cheap system calls a turn that wake nobody. Pump and
//! helper may both set the alarm: it only rings once too often, and a look too many does no harm.

use crate::io::runtime::handover::Handover;
use crate::io::sync::{AtomicBool, Ordering};
use std::time::Duration;

/// An alarm that one or two set, and one waits for.
pub trait OneShot {
    /// Rings once, after `delay` (more than zero); what was set before is void.
    fn set(&self, delay: Duration);
    /// Does not ring.
    fn clear(&self);
    /// Waits until it rings.
    fn wait(&self);
}

/// What pump and helper share.
pub struct Watch<A> {
    alarm: A,
    /// How long Python may keep the pump.
    grace: Duration,
    /// Quiet turns after which the pump hands the alarm over, so that the helper sees how busy it has become.
    check_every: u32,
    /// The helper minds the alarm; if not, it is parked.
    watching: AtomicBool,
    stopped: AtomicBool,
}

impl<A: OneShot> Watch<A> {
    /// The helper is parked, and the pump away.
    pub fn new(alarm: A, grace: Duration, check_every: u32) -> Self {
        alarm.set(grace);
        Self {
            alarm,
            grace,
            check_every,
            watching: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
        }
    }

    /// The helper waits until it shall look; false: it shall end.
    pub fn wait(&self) -> bool {
        self.alarm.wait();
        !self.stopped.load(Ordering::SeqCst)
    }

    /// The helper has looked: it goes on watching a pump that is busy or away, for which the alarm rings after `rest`, or
    /// parks.
    pub fn looked(&self, busy: bool, handover: &Handover, rest: impl FnOnce() -> Duration) {
        if !busy {
            // SeqCst, here and in `away`: the pump writes its word and then reads `watching`, here it is the other way
            // round, so at least one of the two sees that nobody would look.
            self.watching.store(false, Ordering::SeqCst);
            if !Handover::is_away(handover.observe()) {
                return;
            }
        }
        self.watching.store(true, Ordering::SeqCst);
        self.alarm.set(rest());
    }

    /// Ends the helper, if it is recalled as well.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.alarm.set(Duration::from_nanos(1));
    }
}

/// The pump's own memory of the alarm.
#[derive(Default)]
pub struct PumpWatch {
    /// It set the alarm when it left.
    set: bool,
    quiet_turns: u32,
}

impl PumpWatch {
    /// The pump has left the runtime, for Python.
    pub fn away<A: OneShot>(&mut self, watch: &Watch<A>) {
        if !watch.watching.load(Ordering::SeqCst) {
            self.set = true;
            watch.alarm.set(watch.grace);
        }
    }

    /// The pump is in the runtime again.
    pub fn back<A: OneShot>(&mut self, watch: &Watch<A>) {
        if !std::mem::take(&mut self.set) || watch.watching.load(Ordering::SeqCst) {
            return;
        }
        self.quiet_turns = (self.quiet_turns + 1) % watch.check_every;
        if self.quiet_turns == 0 {
            // Set after that: a ring that the helper has answered before would be no ring for it.
            watch.watching.store(true, Ordering::SeqCst);
            watch.alarm.set(watch.grace);
            return;
        }
        watch.alarm.clear();
        // The helper may have begun to watch since we looked, and it was its alarm that we cleared: nobody would ever look
        // again. SeqCst: if its store is not seen here, it sets the alarm after our clearing.
        if watch.watching.load(Ordering::SeqCst) {
            watch.alarm.set(watch.grace);
        }
    }
}
