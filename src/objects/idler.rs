//! The `Idler` that `idle` returns.

use crate::io::sync::Mutex;
use crate::objects::ends::Ends;
use crate::shared::loop_state::LoopState;
use pyo3::prelude::*;
use std::sync::Arc;

/// What the app gave; all None once it is freed.
#[derive(Default)]
struct State {
    callback: Option<Py<PyAny>>,
    event_cb: Option<Py<PyAny>>,
}

/// What runs when nothing else is to be done; made by `idle`.
///
/// It keeps the loop alive, and awake, until it is freed. In a forked child its methods raise `EventLoopError`.
#[pyclass(frozen, weakref, module = "asynctcp")]
pub struct Idler {
    event_loop: Arc<LoopState>,
    state: Mutex<State>,
}

impl Idler {
    /// A new one, which runs from now on.
    pub fn start(
        py: Python<'_>,
        event_loop: Arc<LoopState>,
        callback: Py<PyAny>,
        event_cb: Option<Py<PyAny>>,
    ) -> PyResult<Py<Self>> {
        let state = State {
            callback: Some(callback),
            event_cb,
        };
        let idler = Self {
            event_loop,
            state: Mutex::new(state),
        };
        let idler = Py::new(py, idler)?;
        let event_loop = &idler.get().event_loop;
        event_loop.idlers.add(idler.clone_ref(py).into_any());
        // A foreign loop sleeps, unless something is left to be done.
        event_loop.post(|_| {});
        Ok(idler)
    }

    /// What is called; None: it was freed.
    pub fn callback(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let state = self.state.lock();
        state.callback.as_ref().map(|it| it.clone_ref(py))
    }

    fn is_freed(&self) -> bool {
        self.state.lock().callback.is_none()
    }

    /// Lets go of its callbacks: the loop has.
    pub fn clear_callbacks(&self) {
        let state = std::mem::take(&mut *self.state.lock());
        drop(state);
    }

    fn free_it(slf: &Bound<'_, Self>) {
        let me = slf.get();
        if me.event_loop.is_forked() {
            return;
        }
        let removed = me.event_loop.idlers.remove(slf.as_any());
        if removed.is_some() {
            me.event_loop.nudge();
        }
        drop(removed);
        me.clear_callbacks();
    }
}

impl Ends for Bound<'_, Idler> {
    fn event_cb(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let state = self.get().state.lock();
        state.event_cb.as_ref().map(|it| it.clone_ref(py))
    }

    fn end(&self) {
        Idler::free_it(self);
    }
}

#[pymethods]
impl Idler {
    /// Lets go of the callback. Freeing it again does nothing. Callable from any thread: once it returns the callback does not
    /// start. Raises `EventLoopError` in a forked child. cl-async: `free-idler`.
    pub fn free(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.get().event_loop.check_process(slf.py())?;
        Self::free_it(slf);
        Ok(())
    }

    /// Whether it was freed, by the app, by an exception, or with its loop.
    #[getter]
    fn freed(&self) -> bool {
        self.is_freed()
    }

    /// The same as `freed`.
    #[getter]
    fn closed(&self) -> bool {
        self.is_freed()
    }

    /// `callback()`; None once it is freed.
    #[getter(callback)]
    fn own_callback(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.callback(py)
    }

    /// Where an exception of the callback goes, or None.
    #[getter]
    fn event_cb(slf: &Bound<'_, Self>) -> Option<Py<PyAny>> {
        Ends::event_cb(slf, slf.py())
    }

    /// `with idle(…) as idler:` frees it when the block ends.
    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __exit__(
        slf: &Bound<'_, Self>,
        kind: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        Self::free_it(slf);
        if kind.is_none() {
            return slf.get().event_loop.check_process(kind.py());
        }
        Ok(())
    }

    fn __repr__(&self) -> &'static str {
        if self.is_freed() {
            "<asynctcp.Idler freed>"
        } else {
            "<asynctcp.Idler ready>"
        }
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        if let Some(state) = self.state.try_lock() {
            visit.call(&state.callback)?;
            visit.call(&state.event_cb)?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        self.clear_callbacks();
    }
}
