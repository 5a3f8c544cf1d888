//! What a turn has to tell Python, in its order: complete flushes, ended sockets, posts, events, timers.

use crate::boundary::callback::Which;
use crate::io::counter::add;
use crate::io::event::Event;
use crate::objects::idler::Idler;
use crate::objects::timer::Timer;
use crate::shared::in_hand::InHand;
use crate::shared::posts::Posts;
use crate::turn::app_error::Whose;
use crate::turn::dispatcher::Dispatcher;
use crate::turn::flusher::Flusher;
use pyo3::prelude::*;
use std::time::Instant;

/// The part of one turn in which Python runs.
pub struct Delivery<'a, 'py> {
    py: Python<'py>,
    dispatcher: Dispatcher<'a>,
    flusher: &'a mut Flusher,
    /// A flush keeps the interpreter.
    keeps: bool,
    steps: usize,
}

impl<'a, 'py> Delivery<'a, 'py> {
    /// A turn that has told nothing yet.
    pub fn new(
        py: Python<'py>,
        dispatcher: Dispatcher<'a>,
        flusher: &'a mut Flusher,
        keeps: bool,
    ) -> Self {
        Self {
            py,
            dispatcher,
            flusher,
            keeps,
            steps: 0,
        }
    }

    /// Callbacks made and events handled.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Tells all of it, in the order of a callback loop; timers that were due at `timers_until`, if any.
    pub fn tell_all(
        &mut self,
        hand: &InHand,
        posts: &mut Posts,
        timers_until: Option<Instant>,
    ) -> PyResult<()> {
        let closings = self.dispatcher.event_loop.closings.len();
        let first_new = self.dispatcher.event_loop.timers.next_number();
        hand.hold(|| {
            self.flushed()?;
            self.closings(closings)?;
            self.ready_calls(posts)?;
            self.events(hand)?;
            timers_until.map_or(Ok(()), |now| self.timers(now, first_new))
        })?;
        if self.steps == 0 && self.dispatcher.event_loop.idlers.count() > 0 {
            return self.idle();
        }
        Ok(())
    }

    /// There was nothing else to do. Those that this makes wait for the next such turn.
    #[cold]
    fn idle(&mut self) -> PyResult<()> {
        for idler in self.dispatcher.event_loop.idlers.all(self.py) {
            let idler = idler.bind(self.py).cast::<Idler>()?;
            self.step(|_, dispatcher| dispatcher.idle(idler))?;
        }
        Ok(())
    }

    /// Sockets of which all that was written is with the kernel.
    pub fn flushed(&mut self) -> PyResult<()> {
        // A flush in the middle of the batch adds to them: those are for the next turn.
        for _ in 0..self.flusher.untold() {
            let Some(key) = self.flusher.pop_untold() else {
                break;
            };
            self.step(|py, dispatcher| dispatcher.flushed(py, key))?;
        }
        Ok(())
    }

    /// Of the sockets that were closed before this turn.
    pub fn closings(&mut self, count: usize) -> PyResult<()> {
        for _ in 0..count {
            // Once the loop is to end, its end runs them.
            if self.dispatcher.event_loop.is_exiting() {
                break;
            }
            let Some(closing) = self.dispatcher.event_loop.closings.pop() else {
                break;
            };
            self.step(|py, dispatcher| dispatcher.closed(py, &closing))?;
        }
        Ok(())
    }

    /// What other threads, triggers and signals left to be called, and sockets that read again.
    pub fn ready_calls(&mut self, posts: &mut Posts) -> PyResult<()> {
        if posts.is_empty() {
            if !self.dispatcher.event_loop.has_posts() {
                return Ok(());
            }
            *posts = self.dispatcher.event_loop.take_posts();
        }
        while let Some(call) = posts.calls.pop_front() {
            let Some(function) = call.function.take(self.py) else {
                continue;
            };
            let arguments = call.arguments.bind(self.py);
            self.step(|_, dispatcher| {
                let whose = Whose::Other(call.event_cb.as_ref());
                dispatcher.call(&function, arguments, Which::Post, whose)
            })?;
        }
        while let Some(socket) = posts.failed_writes.pop_front() {
            self.step(|py, dispatcher| dispatcher.write_failed(socket.bind(py).cast()?))?;
        }
        while let Some(socket) = posts.resumed.pop_front() {
            self.step(|py, dispatcher| dispatcher.resume(socket.bind(py).cast()?))?;
        }
        Ok(())
    }

    /// What came from the I/O side.
    pub fn events(&mut self, hand: &InHand) -> PyResult<()> {
        if hand.is_fresh() {
            add(&self.dispatcher.event_loop.totals.events, hand.len());
        }
        while let Some(event) = hand.next() {
            self.step(|py, dispatcher| handle(py, dispatcher, event, hand))?;
        }
        Ok(())
    }

    /// Timers that were due when the events of this turn were taken, so that what came before a timer was due is delivered
    /// before it. Those that this turn starts (from the number `first_new` on) wait for the next.
    pub fn timers(&mut self, now: Instant, first_new: u64) -> PyResult<()> {
        if self.dispatcher.event_loop.timers.armed() == 0 {
            return Ok(());
        }
        while let Some((timer, number)) = self.dispatcher.event_loop.timers.take_due(now, first_new)
        {
            let timer = timer.bind(self.py).cast()?;
            let Some(firing) = Timer::fire(timer, number, now) else {
                continue;
            };
            self.step(|py, dispatcher| {
                let whose = Whose::Other(firing.event_cb.as_ref());
                dispatcher.call(firing.callback.bind(py), (), firing.which, whose)
            })?;
        }
        Ok(())
    }

    /// One callback, unless the loop is to end; then a look at what it wrote.
    fn step(
        &mut self,
        call: impl FnOnce(Python<'py>, &Dispatcher<'a>) -> PyResult<()>,
    ) -> PyResult<()> {
        let event_loop = self.dispatcher.event_loop;
        if event_loop.is_exiting() {
            return Ok(());
        }
        self.steps += 1;
        let beat = event_loop.beat();
        if let Some(beat) = beat {
            beat.tick();
        }
        let called = call(self.py, &self.dispatcher);
        if let Some(beat) = beat {
            beat.tick();
        }
        called?;
        // The callback may have forked, and this be the child.
        event_loop.check_process(self.py)?;
        if self.flusher.called(event_loop) {
            if self.keeps {
                self.flusher.flush(event_loop);
            } else {
                self.py.detach(|| self.flusher.flush(event_loop));
            }
        }
        Ok(())
    }
}

fn handle(
    py: Python<'_>,
    dispatcher: &Dispatcher<'_>,
    event: Event,
    hand: &InHand,
) -> PyResult<()> {
    match event {
        Event::Data(key, place) => dispatcher.data(py, key, place.len(), hand.bytes(py, place)),
        Event::Filled { key, owner, count } => dispatcher.filled(py, key, owner, count as usize),
        Event::Flushed(key) => dispatcher.flushed(py, key),
        Event::Accepted { listener, link } => dispatcher.accepted(py, &listener, link),
        Event::Found(key, found) => dispatcher.found(py, key, *found),
        Event::Connected(key) => dispatcher.connected(py, key),
        Event::Eof(key) => dispatcher.eof(py, key),
        Event::Failed(key, failure) | Event::AcceptFailed(key, failure) => {
            dispatcher.failed(py, key, failure)
        }
        Event::TimedOut {
            key,
            epoch,
            timeout,
        } => dispatcher.timed_out(py, key, epoch, timeout),
        Event::Refused(key, refused) => dispatcher.refused(py, key, &refused),
        Event::Polled(key, what) => dispatcher.polled(py, key, what),
        Event::Silent(key) => dispatcher.silent(py, key),
        Event::Level(key) => dispatcher.level(py, key),
        Event::Upgrading(key) => {
            dispatcher.upgrading(py, key);
            Ok(())
        }
        Event::Secured(key) => dispatcher.secured(py, key),
        Event::Gone(key) => {
            dispatcher.gone(py, key);
            Ok(())
        }
        Event::Signal | Event::Nudge => Ok(()),
    }
}
