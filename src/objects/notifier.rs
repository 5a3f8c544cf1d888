//! `Notifier`: runs a callback in the loop's thread when any thread, or a signal's handler, triggers it.

use crate::boundary::args;
use crate::event_loop::LoopCore;
use crate::event_loop::state::{Call, Core, Life, Posted};
use crate::io::sync::Mutex;
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
    core: Arc<Core>,
    /// A trigger is on its way: those until it runs are one with it.
    pending: AtomicBool,
    /// It keeps the loop alive.
    held: AtomicBool,
    /// Taken with the interpreter's lock held, and nothing of Python's runs under it: a signal's handler finds it free.
    functions: Mutex<Functions>,
}

struct Functions {
    /// None: freed.
    callback: Option<Py<PyAny>>,
    event_cb: Option<Py<PyAny>>,
}

impl Notifier {
    /// Its trigger is due: what to call, unless it was freed since. Triggers from now on are another.
    pub fn begin<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.pending.store(false, Ordering::SeqCst);
        let functions = self.functions.lock();
        let callback = functions.callback.as_ref();
        callback.map(|callback| callback.bind(py).clone())
    }

    fn hold(&self, on: bool) {
        if self.held.swap(on, Ordering::SeqCst) != on {
            self.core.hold(on);
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
        let Ok(core) = r#loop.cast::<LoopCore>() else {
            let kind = r#loop.get_type().name()?;
            return Err(PyTypeError::new_err(format!(
                "loop must be an EventLoop, not {kind}"
            )));
        };
        let core = core.get().core.clone();
        let functions = Functions {
            callback: Some(args::required_callback("callback", callback)?),
            event_cb: args::callback("event_cb", event_cb)?,
        };
        core.check_process(callback.py())?;
        core.hold(true);
        Ok(Self {
            core,
            pending: AtomicBool::new(false),
            held: AtomicBool::new(true),
            functions: Mutex::new(functions),
        })
    }

    /// Has the callback run in the loop, soon; triggers that come before it ran are one.
    ///
    /// Returns False, without effect, after the notifier was freed or its loop has ended. Callable from any thread and
    /// from a signal's handler: it waits for nothing. Raises `EventLoopError` in a forked child. cl-async:
    /// `trigger-notifier`.
    fn trigger(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let (py, me) = (slf.py(), slf.get());
        me.core.check_process(py)?;
        let event_cb = {
            let functions = me.functions.lock();
            if functions.callback.is_none() || me.core.life() == Life::Ended {
                return Ok(false);
            }
            let event_cb = functions.event_cb.as_ref();
            event_cb.map(|event_cb| event_cb.clone_ref(py))
        };
        if me.pending.swap(true, Ordering::SeqCst) {
            drop(event_cb);
            return Ok(true);
        }
        let call = Call {
            function: Posted::Notifier(slf.clone().unbind()),
            arguments: PyTuple::empty(py).unbind(),
            event_cb,
        };
        me.core.post(|posts| posts.calls.push_back(call));
        Ok(true)
    }

    /// Lets go of the callback: no trigger has an effect any more. Twice does nothing. Any thread. Raises
    /// `EventLoopError` in a forked child. cl-async: `free-notifier`.
    fn free(&self, py: Python<'_>) -> PyResult<()> {
        self.core.check_process(py)?;
        let dropped = {
            let mut functions = self.functions.lock();
            (functions.callback.take(), functions.event_cb.take())
        };
        drop(dropped);
        self.hold(false);
        Ok(())
    }

    /// Whether it was freed.
    #[getter]
    fn freed(&self) -> bool {
        self.functions.lock().callback.is_none()
    }

    /// Keeps the loop alive again (the default). Raises `EventLoopError` in a forked child.
    fn r#ref(&self, py: Python<'_>) -> PyResult<()> {
        self.core.check_process(py)?;
        self.hold(true);
        Ok(())
    }

    /// Lets the loop end although the notifier is not freed. Raises `EventLoopError` in a forked child.
    fn unref(&self, py: Python<'_>) -> PyResult<()> {
        self.core.check_process(py)?;
        self.hold(false);
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
        if let Some(functions) = self.functions.try_lock() {
            visit.call(&functions.callback)?;
            visit.call(&functions.event_cb)?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        let dropped = {
            let mut functions = self.functions.lock();
            (functions.callback.take(), functions.event_cb.take())
        };
        drop(dropped);
    }
}
