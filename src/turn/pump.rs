//! One turn of a loop: flush, drive the runtime, take what is queued, call the callbacks.
//!
//! The interpreter's lock is released once a turn, for flushing, driving and swapping together, and once more for
//! each flush in the middle of a long batch; where other threads compute ([`Contention`]), it is kept for many turns.

use crate::io::failure::Failure;
use crate::io::runtime::driver::{Driver, PumpWatch, Wait};
use crate::shared::in_hand::InHand;
use crate::shared::loop_state::LoopState;
use crate::shared::posts::Posts;
use crate::turn::app_error::{Catch, Dispatcher};
use crate::turn::contention;
use crate::turn::contention::Contention;
use crate::turn::delivery::Turn;
use crate::turn::flusher::Flusher;
use pyo3::prelude::*;
use std::time::{Duration, Instant};

/// A timer that is late by more waits until the kernel was asked what came before it.
const LATE: Duration = Duration::from_millis(5);
/// So often: a connection that waits to be accepted is followed by its first bytes.
const LOOKS: u32 = 3;

/// The pump's own data, used by the thread that runs the loop only.
///
/// An exception that comes out of a turn leaves in `flusher`, `posts` and `hand` what was not dispatched yet; a loop
/// that goes on nevertheless (a foreign loop's) does that first.
pub struct Pump {
    driver: Driver,
    watch: PumpWatch,
    contention: Contention,
    hand: InHand,
    flusher: Flusher,
    posts: Posts,
    /// When the events of this turn were taken: timers that are due later wait for the next.
    now: Instant,
    /// Callbacks made and events handled in this turn.
    steps: usize,
}

impl Pump {
    /// Starts the runtime of `event_loop`'s loop.
    pub fn start(event_loop: &LoopState, io_threads: usize) -> Result<Self, Failure> {
        Ok(Self {
            driver: Driver::start(event_loop.hub.clone(), io_threads)?,
            watch: PumpWatch::default(),
            contention: Contention::default(),
            hand: InHand::default(),
            flusher: Flusher::default(),
            posts: Posts::default(),
            now: Instant::now(),
            steps: 0,
        })
    }

    /// Ends the runtime. With the interpreter's lock released.
    pub fn stop(self) {
        self.driver.stop();
    }

    /// One turn; waits for events as long as nothing else is to be done. False: the loop has nothing left to do.
    pub fn turn(
        &mut self,
        py: Python<'_>,
        event_loop: &LoopState,
        catch: &Catch,
    ) -> PyResult<bool> {
        if event_loop.is_exiting() || !event_loop.is_alive() {
            return Ok(false);
        }
        let kept = self.contention.keeps() && self.collect_kept(event_loop);
        if kept {
            contention::give_way(py)?;
        } else {
            self.collect_released(py, event_loop);
        }
        py.check_signals()?;
        // A signal's handler may have forked, and this be the child.
        event_loop.check_process(py)?;
        self.dispatch(py, event_loop, catch)?;
        event_loop.hub.kick_helper();
        Ok(true)
    }

    /// One turn that waits for nothing, and sends what was written before it returns. For a runtime with threads of its
    /// own.
    pub fn bounded_turn(
        &mut self,
        py: Python<'_>,
        event_loop: &LoopState,
        catch: &Catch,
    ) -> PyResult<()> {
        self.steps = 0;
        if event_loop.is_exiting() {
            return Ok(());
        }
        py.detach(|| {
            self.flusher.flush(event_loop);
            self.now = Instant::now();
            if is_late(event_loop, self.now) {
                self.driver.settle();
            }
            if self.hand.is_done() {
                self.hand.refill(&event_loop.hub.queue);
            }
        });
        let dispatched = self.dispatch(py, event_loop, catch);
        if !event_loop.is_forked() {
            py.detach(|| {
                self.flusher.flush(event_loop);
                event_loop.hub.python_is_back();
            });
        }
        dispatched
    }

    /// Callbacks made and events handled in the turn.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Whether a turn left something to be told.
    pub fn is_behind(&self) -> bool {
        !self.hand.is_done() || self.flusher.untold() > 0 || !self.posts.is_empty()
    }

    /// Flushes and takes what comes with the interpreter released; waits for it.
    fn collect_released(&mut self, py: Python<'_>, event_loop: &LoopState) {
        let wait = wait_of(event_loop);
        let measured = self.contention.releases();
        let since = py.detach(|| {
            self.flusher.flush(event_loop);
            self.collect(event_loop, wait);
            measured.then(Instant::now)
        });
        if let Some(since) = since {
            self.contention.waited(since.elapsed());
        }
    }

    /// Flushes and takes what comes without releasing the interpreter; false: there is nothing to do.
    fn collect_kept(&mut self, event_loop: &LoopState) -> bool {
        self.flusher.flush(event_loop);
        let due = matches!(wait_of(event_loop), Wait::No) || self.flusher.untold() > 0;
        let wait = if due {
            Wait::No
        } else {
            Wait::Spin(Instant::now() + contention::SPIN)
        };
        self.collect(event_loop, wait);
        due || !self.hand.is_empty()
    }

    /// Drives the runtime and takes what is queued.
    fn collect(&mut self, event_loop: &LoopState, wait: Wait) {
        // What was sent by reference is let go before a wait.
        let idle = self.flusher.untold() == 0 && !event_loop.lender.has_returns();
        let wait = if idle { wait } else { Wait::No };
        self.driver.drive(&mut self.watch, wait);
        if event_loop.timers.armed() > 0 {
            self.now = Instant::now();
            if is_late(event_loop, self.now) {
                self.driver.settle();
                for _ in 0..LOOKS {
                    self.driver.drive(&mut self.watch, Wait::No);
                }
            }
        }
        self.hand.refill(&event_loop.hub.queue);
    }

    fn dispatch(&mut self, py: Python<'_>, event_loop: &LoopState, catch: &Catch) -> PyResult<()> {
        event_loop.lender.let_go();
        event_loop.lender.furnish(py, &event_loop.hub.rooms)?;
        self.flusher.begin(self.hand.len());
        let keeps = self.contention.is_seen();
        let mut turn = Turn::new(
            py,
            Dispatcher { event_loop, catch },
            &mut self.flusher,
            keeps,
        );
        let result = turn.dispatch(&self.hand, &mut self.posts, self.now);
        self.steps = turn.steps();
        self.hand.recycle();
        result
    }
}

/// Whether a timer is so late that it was not for want of a turn: the process may have stood still, and the kernel have
/// what came before the timer was due.
fn is_late(event_loop: &LoopState, now: Instant) -> bool {
    event_loop
        .timers
        .next()
        .is_some_and(|due| due + LATE <= now)
}

fn wait_of(event_loop: &LoopState) -> Wait {
    if event_loop.has_posts() {
        return Wait::No;
    }
    match event_loop.timers.next() {
        Some(due) if due <= Instant::now() => Wait::No,
        Some(due) => Wait::Until(due),
        None => Wait::Forever,
    }
}
