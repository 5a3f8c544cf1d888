//! The `Poller` that `poll` returns.

use crate::io::failure::Failure;
use crate::io::keys::Key;
use crate::io::poll::idle_timeout::IdleTimeout;
use crate::io::poll::watcher;
use crate::io::sync::Mutex;
use crate::io::sys::interest::Interest;
use crate::io::sys::platform::RawFd;
use crate::objects::ends::Ends;
use crate::shared::loop_state::LoopState;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::sync::Arc;
use std::time::Duration;

/// How a callback is told that there may be something to receive.
pub const READABLE: &str = "readable";
/// That there may be room to send.
pub const WRITABLE: &str = "writable";

/// What the app gave; all None once it is freed.
#[derive(Default)]
struct State {
    callback: Option<Py<PyAny>>,
    event_cb: Option<Py<PyAny>>,
    /// The object whose descriptor it is: that would be closed with its last reference.
    file: Option<Py<PyAny>>,
    idle_timeout: Option<IdleTimeout>,
}

/// A descriptor that is watched; made by `poll`.
///
/// It keeps the loop alive until it is freed. In a forked child its methods raise `EventLoopError`.
#[pyclass(frozen, weakref, module = "asynctcp")]
pub struct Poller {
    event_loop: Arc<LoopState>,
    key: Key,
    number: RawFd,
    what: Interest,
    timeout: Option<Duration>,
    state: Mutex<State>,
}

/// What a new one is of.
pub struct PollArguments {
    /// The descriptor's number.
    pub number: RawFd,
    /// The object that owns it.
    pub file: Option<Py<PyAny>>,
    /// What its callback wants to be told.
    pub what: Interest,
    /// Silence of so long is told, again and again.
    pub timeout: Option<Duration>,
}

impl Poller {
    /// A new one, which watches from now on.
    pub fn start(
        py: Python<'_>,
        event_loop: Arc<LoopState>,
        watched: PollArguments,
        callback: Py<PyAny>,
        event_cb: Option<Py<PyAny>>,
    ) -> PyResult<Py<Self>> {
        let key = event_loop.hub.keys.new_key();
        let state = State {
            callback: Some(callback),
            event_cb,
            file: watched.file,
            idle_timeout: None,
        };
        let poller = Self {
            event_loop,
            key,
            number: watched.number,
            what: watched.what,
            timeout: watched.timeout,
            state: Mutex::new(state),
        };
        let poller = Py::new(py, poller)?;
        let object = poller.clone_ref(py).into_any();
        poller.get().event_loop.table.insert(key, object);
        poller.get().watch()?;
        Ok(poller)
    }

    fn watch(&self) -> PyResult<()> {
        let hub = &self.event_loop.hub;
        if let Err(failure) = watcher::watch(hub, self.key, self.number, self.what) {
            self.end();
            return Err(failure.into());
        }
        let idle_timeout = self
            .timeout
            .map(|time| IdleTimeout::watch(hub, self.key, time));
        self.state.lock().idle_timeout = idle_timeout;
        self.event_loop.nudge();
        Ok(())
    }

    /// What of `told` it was made for, as its callback is told.
    pub fn words(&self, told: Interest) -> impl Iterator<Item = &'static str> + use<> {
        words(self.what.and(told))
    }

    /// `callback(poller, word)`; None: it was freed.
    pub fn callback(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let state = self.state.lock();
        state.callback.as_ref().map(|it| it.clone_ref(py))
    }

    /// Its callbacks have returned: it is told again. An error: the descriptor was closed.
    pub fn go_on(&self) -> Result<(), Failure> {
        if self.is_freed() {
            return Ok(());
        }
        self.restart_timeout();
        let descriptors = &self.event_loop.hub.descriptors;
        descriptors.again(self.key, self.number, self.what)
    }

    /// A timeout begins anew.
    pub fn restart_timeout(&self) {
        if let Some(timeout) = &self.state.lock().idle_timeout {
            timeout.begin_anew();
        }
    }

    /// Its timeout has passed: whether that is still so, as far as the kernel knows. An error: the descriptor was closed.
    pub fn is_silent(&self) -> Result<bool, Failure> {
        let lasts = {
            let state = self.state.lock();
            state.idle_timeout.as_ref().is_some_and(IdleTimeout::lasts)
        };
        let descriptors = &self.event_loop.hub.descriptors;
        Ok(lasts && !descriptors.is_ready(self.key, self.number, self.what)?)
    }

    fn is_freed(&self) -> bool {
        self.state.lock().callback.is_none()
    }
}

impl Ends for Poller {
    fn event_cb(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let state = self.state.lock();
        state.event_cb.as_ref().map(|it| it.clone_ref(py))
    }

    /// Nothing is called any more.
    fn end(&self) {
        if self.event_loop.is_forked() {
            return;
        }
        let state = std::mem::take(&mut *self.state.lock());
        if state.callback.is_none() {
            return;
        }
        self.event_loop
            .hub
            .descriptors
            .forget(self.key, self.number);
        let removed = self.event_loop.remove(self.key);
        self.event_loop.task_ended(self.key);
        self.event_loop.nudge();
        drop((removed, state));
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        if self.event_loop.is_forked() {
            // It would wake a task of the parent's runtime, under locks that a thread of the parent's may have held.
            std::mem::forget(self.state.lock().idle_timeout.take());
        }
    }
}

/// By the name that a callback is told.
fn words(what: Interest) -> impl Iterator<Item = &'static str> + use<> {
    let readable = what.readable.then_some(READABLE);
    readable
        .into_iter()
        .chain(what.writable.then_some(WRITABLE))
}

#[pymethods]
impl Poller {
    /// Stops watching and lets go of the callbacks; the descriptor stays open. Freeing it again does nothing. Callable from any
    /// thread: once it returns no callback starts. Raises `EventLoopError` in a forked child. cl-async: `free-poller`.
    pub fn free(&self, py: Python<'_>) -> PyResult<()> {
        self.event_loop.check_process(py)?;
        self.end();
        Ok(())
    }

    /// Whether it was freed, by the app, by an error, or with its loop.
    #[getter]
    fn freed(&self) -> bool {
        self.is_freed()
    }

    /// The same as `freed`.
    #[getter]
    fn closed(&self) -> bool {
        self.is_freed()
    }

    /// The number of the descriptor.
    #[getter]
    fn fd(&self) -> RawFd {
        self.number
    }

    /// Which of "readable" and "writable" it was made for.
    #[getter]
    fn poll_for<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, words(self.what).collect::<Vec<_>>())
    }

    /// Its timeout in seconds, or None.
    #[getter]
    fn timeout(&self) -> Option<f64> {
        self.timeout.map(|timeout| timeout.as_secs_f64())
    }

    /// `callback(poller, "readable" | "writable")`; None once it is freed.
    #[getter(callback)]
    fn own_callback(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.callback(py)
    }

    /// `event_cb(condition)`, or None.
    #[getter(event_cb)]
    fn own_event_cb(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.event_cb(py)
    }

    /// `with poll(…) as poller:` frees it when the block ends.
    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __exit__(
        &self,
        kind: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.end();
        if kind.is_none() {
            return self.event_loop.check_process(kind.py());
        }
        Ok(())
    }

    fn __repr__(&self) -> String {
        let state = if self.is_freed() {
            "freed".to_owned()
        } else {
            format!("for {}", words(self.what).collect::<Vec<_>>().join(", "))
        };
        format!("<asynctcp.Poller fd={} {state}>", self.number)
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        if let Some(state) = self.state.try_lock() {
            visit.call(&state.callback)?;
            visit.call(&state.event_cb)?;
            visit.call(&state.file)?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        self.end();
    }
}
