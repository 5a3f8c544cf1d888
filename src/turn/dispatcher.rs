//! Calls callbacks of one loop: whose events they are, and where their exceptions go.

use crate::boundary::call::Arguments;
use crate::boundary::call_app::call_app;
use crate::boundary::callback::Which;
use crate::io::keys::Key;
use crate::shared::loop_state::LoopState;
use crate::socket::object::Socket;
use crate::turn::app_error::{Catch, Whose};
use crate::turn::sink::Sink;
use pyo3::prelude::*;

/// See the module's page. What an event leads to is in `socket_events.rs`, `tls_events.rs` and `poller_events.rs`.
pub struct Dispatcher<'a> {
    /// The loop.
    pub event_loop: &'a LoopState,
    /// What to do with exceptions.
    pub catch: &'a Catch,
}

impl Dispatcher<'_> {
    /// Calls `callback` with `arguments`; its exception goes where the app wants it.
    pub fn call<'py>(
        &self,
        callback: &Bound<'py, PyAny>,
        arguments: impl Arguments<'py>,
        which: Which,
        whose: Whose<'_, 'py>,
    ) -> PyResult<()> {
        let warned = &self.event_loop.warned_functions;
        call_app(warned, which, callback, arguments, |error| {
            self.catch.take(warned, error, which, callback, whose)
        })
    }

    /// What consumes the events of `key`.
    pub(crate) fn sink<'py>(&self, py: Python<'py>, key: Key) -> Option<Sink<'py>> {
        Sink::of(self.event_loop.table.get(py, key)?)
    }

    /// The socket of `key`, for events that nothing else has.
    #[inline(always)]
    pub(crate) fn socket<'py>(&self, py: Python<'py>, key: Key) -> Option<Bound<'py, Socket>> {
        self.event_loop.table.get(py, key)?.cast_into().ok()
    }
}
