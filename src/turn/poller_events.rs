//! Callbacks of pollers and idlers.

use crate::boundary::callback::Which;
use crate::boundary::condition;
use crate::io::failure::Failure;
use crate::io::keys::Key;
use crate::io::sys::interest::Interest;
use crate::objects::ends::Ends;
use crate::objects::idler::Idler;
use crate::objects::poller::Poller;
use crate::turn::app_error::Whose;
use crate::turn::dispatcher::Dispatcher;
use crate::turn::sink::Sink;
use pyo3::prelude::*;

impl Dispatcher<'_> {
    fn poller<'py>(&self, py: Python<'py>, key: Key) -> Option<Bound<'py, Poller>> {
        match self.sink(py, key)? {
            Sink::Poller(poller) => Some(poller),
            _ => None,
        }
    }

    /// A descriptor is ready.
    pub fn polled(&self, py: Python<'_>, key: Key, told: Interest) -> PyResult<()> {
        let Some(poller) = self.poller(py, key) else {
            return Ok(());
        };
        let me = poller.get();
        let mut called = Ok(());
        for word in me.words(told) {
            let callback = me.callback(py).filter(|_| !self.event_loop.is_exiting());
            let Some(callback) = callback.filter(|_| called.is_ok()) else {
                break;
            };
            let whose = Whose::Ending(me);
            called = self.call(callback.bind(py), (&poller, word), Which::Poll, whose);
        }
        if self.event_loop.is_forked() {
            // The parent's descriptors are not this one's to ask for.
            return called;
        }
        let goes_on = me.go_on();
        called?;
        goes_on.or_else(|failure| self.poller_failed(&poller, &failure))
    }

    /// A descriptor was not ready for as long as its timeout.
    pub fn silent(&self, py: Python<'_>, key: Key) -> PyResult<()> {
        let Some(poller) = self.poller(py, key) else {
            return Ok(());
        };
        match poller.get().is_silent() {
            Ok(false) => Ok(()),
            Ok(true) => {
                poller.get().restart_timeout();
                let failure = Failure::Timeout("poll timeout: the descriptor was not ready");
                self.tell_poller(&poller, &failure)
            }
            Err(failure) => self.poller_failed(&poller, &failure),
        }
    }

    /// A descriptor cannot be watched any more.
    pub fn poller_failed(&self, poller: &Bound<'_, Poller>, failure: &Failure) -> PyResult<()> {
        let told = self.tell_poller(poller, failure);
        poller.get().end();
        told
    }

    fn tell_poller(&self, poller: &Bound<'_, Poller>, failure: &Failure) -> PyResult<()> {
        let condition = condition::plain(poller.py(), failure)?;
        self.tell_other(poller.get().event_cb(poller.py()), &condition)
    }

    /// `callback()` of an idler, unless it was freed.
    pub fn idle(&self, idler: &Bound<'_, Idler>) -> PyResult<()> {
        let py = idler.py();
        let Some(callback) = idler.get().callback(py) else {
            return Ok(());
        };
        self.call(callback.bind(py), (), Which::Idle, Whose::Ending(idler))
    }
}
