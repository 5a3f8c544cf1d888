//! One turn of a loop: flush, drive the runtime, take what is queued, call the callbacks.
//!
//! The interpreter's lock is released once a turn, for flushing, driving and swapping together, and once more for
//! each flush in the middle of a long batch; where other threads compute ([`Contention`]), it is kept for many turns.

use crate::event_loop::state::{Core, Posts};
use crate::io::failure::Failure;
use crate::io::runtime::driver::{Driver, PumpWatch, Wait};
use crate::turn::app_error::Catch;
use crate::turn::contention;
use crate::turn::contention::Contention;
use crate::turn::delivery::Turn;
use crate::turn::dispatch::Dispatcher;
use crate::turn::flusher::Flusher;
use crate::turn::in_hand::InHand;
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
    /// Starts the runtime of `core`'s loop.
    pub fn start(core: &Core, io_threads: usize) -> Result<Self, Failure> {
        Ok(Self {
            driver: Driver::start(core.hub.clone(), io_threads)?,
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
    pub fn turn(&mut self, py: Python<'_>, core: &Core, catch: &Catch) -> PyResult<bool> {
        if core.is_exiting() || !core.is_alive() {
            return Ok(false);
        }
        let kept = self.contention.keeps() && self.collect_kept(core);
        if kept {
            contention::give_way(py)?;
        } else {
            self.collect_released(py, core);
        }
        py.check_signals()?;
        // A signal's handler may have forked, and this be the child.
        core.check_process(py)?;
        self.dispatch(py, core, catch)?;
        core.hub.kick_helper();
        Ok(true)
    }

    /// One turn that waits for nothing, and sends what was written before it returns. For a runtime with threads of its
    /// own.
    pub fn bounded_turn(&mut self, py: Python<'_>, core: &Core, catch: &Catch) -> PyResult<()> {
        self.steps = 0;
        if core.is_exiting() {
            return Ok(());
        }
        py.detach(|| {
            self.flusher.flush(core);
            self.now = Instant::now();
            if is_late(core, self.now) {
                self.driver.settle();
            }
            if self.hand.is_done() {
                self.hand.refill(&core.hub.queue);
            }
        });
        let dispatched = self.dispatch(py, core, catch);
        if !core.is_forked() {
            py.detach(|| {
                self.flusher.flush(core);
                core.hub.python_is_back();
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
    fn collect_released(&mut self, py: Python<'_>, core: &Core) {
        let wait = wait_of(core);
        let measured = self.contention.releases();
        let since = py.detach(|| {
            self.flusher.flush(core);
            self.collect(core, wait);
            measured.then(Instant::now)
        });
        if let Some(since) = since {
            self.contention.waited(since.elapsed());
        }
    }

    /// Flushes and takes what comes without releasing the interpreter; false: there is nothing to do.
    fn collect_kept(&mut self, core: &Core) -> bool {
        self.flusher.flush(core);
        let due = matches!(wait_of(core), Wait::No) || self.flusher.untold() > 0;
        let wait = if due {
            Wait::No
        } else {
            Wait::Spin(Instant::now() + contention::SPIN)
        };
        self.collect(core, wait);
        due || !self.hand.is_empty()
    }

    /// Drives the runtime and takes what is queued.
    fn collect(&mut self, core: &Core, wait: Wait) {
        // What was sent by reference is let go before a wait.
        let idle = self.flusher.untold() == 0 && !core.lender.has_returns();
        let wait = if idle { wait } else { Wait::No };
        self.driver.drive(&mut self.watch, wait);
        if core.timers.armed() > 0 {
            self.now = Instant::now();
            if is_late(core, self.now) {
                self.driver.settle();
                for _ in 0..LOOKS {
                    self.driver.drive(&mut self.watch, Wait::No);
                }
            }
        }
        self.hand.refill(&core.hub.queue);
    }

    fn dispatch(&mut self, py: Python<'_>, core: &Core, catch: &Catch) -> PyResult<()> {
        core.lender.let_go();
        core.lender.furnish(py, &core.hub.rooms)?;
        self.flusher.begin(self.hand.len());
        let keeps = self.contention.is_seen();
        let mut turn = Turn::new(py, Dispatcher { core, catch }, &mut self.flusher, keeps);
        let result = turn.dispatch(&self.hand, &mut self.posts, self.now);
        self.steps = turn.steps();
        self.hand.recycle();
        result
    }
}

/// Whether a timer is so late that it was not for want of a turn: the process may have stood still, and the kernel have
/// what came before the timer was due.
fn is_late(core: &Core, now: Instant) -> bool {
    core.timers.next().is_some_and(|due| due + LATE <= now)
}

fn wait_of(core: &Core) -> Wait {
    if core.has_posts() {
        return Wait::No;
    }
    match core.timers.next() {
        Some(due) if due <= Instant::now() => Wait::No,
        Some(due) => Wait::Until(due),
        None => Wait::Forever,
    }
}
