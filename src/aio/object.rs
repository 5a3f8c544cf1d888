//! The class that `Loop` inherits from, without its methods: transports have it, too.

use crate::aio::gil::Gil;
use crate::aio::handle::{self, Call, Owner, Time};
use crate::aio::state::State;
use crate::event_loop::object::EventLoop;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// The native half of a loop.
#[pyclass(frozen, subclass, module = "asynctcp._core")]
pub struct NativeLoop {
    pub(crate) state: State,
    /// The loop of callbacks that lives in this one, if a program has asked for it.
    pub(crate) callbacks: Gil<Option<Py<EventLoop>>>,
}

impl NativeLoop {
    /// RuntimeError where it is closed.
    #[inline(always)]
    pub(crate) fn check_open(&self) -> PyResult<()> {
        if !self.state.is_open() {
            return Err(PyRuntimeError::new_err("Event loop is closed"));
        }
        Ok(())
    }
}

/// A new handle of the loop's.
#[inline(always)]
pub(crate) fn make_handle<'py>(
    event_loop: &Bound<'py, NativeLoop>,
    call: Call,
    time: Time,
) -> PyResult<Bound<'py, PyAny>> {
    let py = event_loop.py();
    let owner = Owner {
        event_loop: event_loop.as_ptr(),
        cancelled_timers: event_loop.get().state.cancelled_timers.cell(py),
    };
    handle::make(py, &owner, call, time)
}
