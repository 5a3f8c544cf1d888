//! One turn of a loop, put together: what came is taken, then told to Python.

use crate::io::failure::Failure;
use crate::io::runtime::driver::Wait;
use crate::io::sys::platform::epoll::Selector;
use crate::shared::in_hand::InHand;
use crate::shared::loop_state::LoopState;
use crate::shared::posts::Posts;
use crate::turn::app_error::Catch;
use crate::turn::delivery::Delivery;
use crate::turn::dispatcher::Dispatcher;
use crate::turn::flusher::Flusher;
use crate::turn::intake::Intake;
use crate::turn::policy::Policy;
use pyo3::prelude::*;
use std::sync::Arc;

/// The pump's own data, used by the thread that runs the loop only.
///
/// An exception that comes out of a turn leaves in `flusher`, `posts` and `hand` what was not dispatched yet; a loop
/// that goes on nevertheless (a foreign loop's) does that first.
pub struct Pump {
    policy: Policy,
    intake: Intake,
    hand: InHand,
    flusher: Flusher,
    posts: Posts,
    /// Callbacks made and events handled in this turn.
    steps: usize,
}

impl Pump {
    /// Starts the loop's runtime.
    pub(crate) fn start(
        event_loop: &LoopState,
        io_threads: usize,
        policy: Policy,
        host: Option<Arc<Selector>>,
    ) -> Result<Self, Failure> {
        Ok(Self {
            policy,
            intake: Intake::start(event_loop, io_threads.max(policy.io_threads), host)?,
            hand: InHand::default(),
            flusher: Flusher::default(),
            posts: Posts::default(),
            steps: 0,
        })
    }

    /// Ends the runtime. With the interpreter's lock released.
    pub fn stop(self) {
        self.intake.stop();
    }

    /// One turn. False: the loop has nothing left to do.
    pub fn turn(
        &mut self,
        py: Python<'_>,
        event_loop: &LoopState,
        catch: &Catch,
    ) -> PyResult<bool> {
        self.steps = 0;
        let waits = self.policy.waits;
        if event_loop.is_exiting() || (waits && !event_loop.is_alive()) {
            return Ok(false);
        }
        if waits {
            self.intake
                .wait(py, event_loop, &mut self.flusher, &mut self.hand)?;
            py.check_signals()?;
            // A signal's handler may have forked, and this be the child.
            event_loop.check_process(py)?;
            self.dispatch(py, event_loop, catch)?;
            event_loop.hub.reactor.kick_helper();
        } else {
            self.intake
                .take_without_wait(py, event_loop, &mut self.flusher, &mut self.hand);
            self.dispatch_and_flush(py, event_loop, catch)?;
        }
        Ok(true)
    }

    /// Waits in the place of a host, and takes a turn if there is something to do. Whether something in the host's selector has
    /// become ready.
    pub(crate) fn turn_while_host_waits(
        &mut self,
        py: Python<'_>,
        event_loop: &LoopState,
        catch: &Catch,
        wait: Wait,
    ) -> PyResult<bool> {
        self.steps = 0;
        let (flusher, hand) = (&mut self.flusher, &mut self.hand);
        let ready = self
            .intake
            .wait_with_host(py, event_loop, wait, flusher, hand)?;
        self.dispatch_and_flush(py, event_loop, catch)?;
        Ok(ready)
    }

    fn dispatch_and_flush(
        &mut self,
        py: Python<'_>,
        event_loop: &LoopState,
        catch: &Catch,
    ) -> PyResult<()> {
        let dispatched = self.dispatch(py, event_loop, catch);
        if !event_loop.is_forked() {
            if event_loop.hub.reactor.is_dirty() {
                py.detach(|| self.flusher.flush(event_loop));
            }
            event_loop.hub.reactor.wake_accept_loops();
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

    fn dispatch(&mut self, py: Python<'_>, event_loop: &LoopState, catch: &Catch) -> PyResult<()> {
        event_loop.buffers.drop_returned();
        let rooms = &event_loop.hub.inbox.rooms;
        event_loop.buffers.furnish(py, rooms);
        let timers_until = self.intake.timers_until(event_loop, self.hand.len());
        self.flusher.begin(self.hand.len());
        let dispatcher = Dispatcher { event_loop, catch };
        let mut delivery = Delivery::new(py, dispatcher, &mut self.flusher, self.intake.keeps());
        let result = delivery.tell_all(&self.hand, &mut self.posts, timers_until);
        self.steps = delivery.steps();
        self.hand.recycle();
        result
    }
}
