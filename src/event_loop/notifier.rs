//! `Notifier`: runs a callback in the loop's thread when any thread, or a signal's handler, triggers it.

use crate::boundary::args;
use crate::event_loop::object::EventLoop;
use crate::shared::loop_state::{Life, LoopState};
use crate::shared::posts::{Post, Posted};
use crate::shared::trigger::{Functions, Trigger};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs a callback in the loop's thread when any thread triggers it; made by `make_notifier`.
///
/// It keeps the loop alive until it is freed or unref'd. In a forked child all its methods raise `EventLoopError`.
#[pyclass(frozen, weakref, module = "asynctcp")]
pub struct Notifier {
    event_loop: Arc<LoopState>,
    trigger: Arc<Trigger>,
    /// It keeps the loop alive.
    held: AtomicBool,
}

impl Notifier {
    fn hold(&self) {
        if !self.held.swap(true, Ordering::SeqCst) {
            self.event_loop.add_hold();
        }
    }

    fn unhold(&self) {
        if self.held.swap(false, Ordering::SeqCst) {
            self.event_loop.drop_hold();
        }
    }
}

#[pymethods]
impl Notifier {
    #[new]
    #[pyo3(signature = (r#loop, callback, event_cb=None))]
    fn new(
        r#loop: &Bound<'_, PyAny>,
        callback: &Bound<'_, PyAny>,
        event_cb: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let Ok(given) = r#loop.cast::<EventLoop>() else {
            let kind = r#loop.get_type().name()?;
            return Err(PyTypeError::new_err(format!(
                "loop must be an EventLoop, not {kind}"
            )));
        };
        let event_loop = given.get().state.clone();
        let functions = Functions {
            callback: Some(args::required_callback("callback", callback)?),
            event_cb: args::callback("event_cb", event_cb)?,
        };
        event_loop.check_process(callback.py())?;
        event_loop.add_hold();
        Ok(Self {
            event_loop,
            held: AtomicBool::new(true),
            trigger: Arc::new(Trigger::new(functions)),
        })
    }

    /// Has the callback run in the loop, soon; triggers that come before it has run count as one.
    ///
    /// Returns False, without effect, after the notifier was freed or its loop has ended. Callable from any thread and
    /// from a signal's handler: it waits for nothing. Raises `EventLoopError` in a forked child. cl-async:
    /// `trigger-notifier`.
    fn trigger(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let (py, me) = (slf.py(), slf.get());
        me.event_loop.check_process(py)?;
        if me.trigger.is_freed() || me.event_loop.life() == Life::Ended {
            return Ok(false);
        }
        if me.trigger.pull() {
            let call = Post {
                function: Posted::Trigger(me.trigger.clone(), slf.clone().into_any().unbind()),
                arguments: PyTuple::empty(py).unbind(),
                event_cb: me.trigger.event_cb(py),
            };
            me.event_loop.post(|posts| posts.calls.push_back(call));
        }
        Ok(true)
    }

    /// Lets go of the callback: triggers have no effect any more. Freeing it again does nothing. Callable from any thread. Raises
    /// `EventLoopError` in a forked child. cl-async: `free-notifier`.
    fn free(&self, py: Python<'_>) -> PyResult<()> {
        self.event_loop.check_process(py)?;
        drop(self.trigger.free());
        self.unhold();
        Ok(())
    }

    /// Whether it was freed.
    #[getter]
    fn freed(&self) -> bool {
        self.trigger.is_freed()
    }

    /// Keeps the loop alive again (the default). Raises `EventLoopError` in a forked child.
    fn r#ref(&self, py: Python<'_>) -> PyResult<()> {
        self.event_loop.check_process(py)?;
        self.hold();
        Ok(())
    }

    /// Lets the loop end although the notifier is not freed. Raises `EventLoopError` in a forked child.
    fn unref(&self, py: Python<'_>) -> PyResult<()> {
        self.event_loop.check_process(py)?;
        self.unhold();
        Ok(())
    }

    fn __repr__(&self) -> &'static str {
        if self.freed() {
            "<asynctcp.Notifier freed>"
        } else {
            "<asynctcp.Notifier ready>"
        }
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        self.trigger.visit(&visit)
    }

    fn __clear__(&self) {
        drop(self.trigger.free());
    }
}
