//! `poll`, and the `Poller` that it returns.

use crate::boundary::args;
use crate::boundary::args::refusal::{wrong_type, wrong_value};
use crate::io::failure::Failure;
use crate::io::keys::Key;
use crate::io::poll::silence::Silence;
use crate::io::poll::telling;
use crate::io::sync::Mutex;
use crate::io::sys::interest::Interest;
use crate::io::sys::platform::RawFd;
use crate::objects::ends::Ends;
use crate::shared::loop_state::LoopState;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyInt, PyString, PyTuple};
use std::sync::Arc;
use std::time::Duration;

const READABLE: &str = "readable";
const WRITABLE: &str = "writable";

/// What the app gave; all None once it is freed.
#[derive(Default)]
struct State {
    callback: Option<Py<PyAny>>,
    event_cb: Option<Py<PyAny>>,
    /// The object whose descriptor it is: that would be closed with its last reference.
    file: Option<Py<PyAny>>,
    silence: Option<Silence>,
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

impl Poller {
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
        self.hear();
        let descriptors = &self.event_loop.hub.descriptors;
        descriptors.again(self.key, self.number, self.what)
    }

    /// A timeout begins anew.
    pub fn hear(&self) {
        if let Some(silence) = &self.state.lock().silence {
            silence.begin_anew();
        }
    }

    /// Its timeout has passed: whether that is still so, as far as the kernel knows. An error: the descriptor was closed.
    pub fn is_silent(&self) -> Result<bool, Failure> {
        let lasts = {
            let state = self.state.lock();
            state.silence.as_ref().is_some_and(Silence::lasts)
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
            std::mem::forget(self.state.lock().silence.take());
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
    /// Stops watching and lets go of the callbacks; the descriptor stays open. Twice does nothing. Any thread: no callback
    /// starts any more. Raises `EventLoopError` in a forked child. cl-async: `free-poller`.
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

/// See `asynctcp.poll`.
#[pyfunction]
pub fn _poll(
    fd: &Bound<'_, PyAny>,
    callback: &Bound<'_, PyAny>,
    poll_for: &Bound<'_, PyAny>,
    timeout: Option<&Bound<'_, PyAny>>,
    event_cb: Option<&Bound<'_, PyAny>>,
) -> PyResult<Py<Poller>> {
    let py = fd.py();
    let event_loop = LoopState::current(py)?;
    let (number, file) = descriptor(fd)?;
    let what = interest(poll_for)?;
    let timeout = args::timeout("timeout", timeout)?;
    let state = State {
        callback: Some(args::required_callback("callback", callback)?),
        event_cb: args::callback("event_cb", event_cb)?,
        file,
        silence: None,
    };
    let hub = event_loop.hub.clone();
    let key = hub.keys.new_key();
    let poller = Poller {
        event_loop,
        key,
        number,
        what,
        timeout,
        state: Mutex::new(state),
    };
    start(Py::new(py, poller)?, py)
}

fn start(poller: Py<Poller>, py: Python<'_>) -> PyResult<Py<Poller>> {
    let me = poller.get();
    let hub = &me.event_loop.hub;
    let object = poller.clone_ref(py).into_any();
    me.event_loop.table.insert(me.key, object);
    if let Err(failure) = telling::watch(hub, me.key, me.number, me.what) {
        me.end();
        return Err(failure.into());
    }
    let silence = me.timeout.map(|time| Silence::watch(hub, me.key, time));
    me.state.lock().silence = silence;
    me.event_loop.nudge();
    Ok(poller)
}

/// The number, and the object that owns it.
fn descriptor(fd: &Bound<'_, PyAny>) -> PyResult<(RawFd, Option<Py<PyAny>>)> {
    let wrong = || wrong_type("fd", "an int or an object with fileno()", fd);
    if fd.is_instance_of::<PyBool>() {
        return Err(wrong());
    }
    let number = |value: &Bound<'_, PyAny>| {
        let number = value.extract::<RawFd>();
        number.map_err(|_| wrong_value("fd", "the number of a descriptor", value))
    };
    if fd.is_instance_of::<PyInt>() {
        return Ok((number(fd)?, None));
    }
    let Some(fileno) = fd.getattr_opt(intern!(fd.py(), "fileno"))? else {
        return Err(wrong());
    };
    let value = fileno.call0()?;
    if !value.is_instance_of::<PyInt>() {
        return Err(wrong());
    }
    Ok((number(&value)?, Some(fd.clone().unbind())))
}

fn interest(poll_for: &Bound<'_, PyAny>) -> PyResult<Interest> {
    let mut what = Interest::NONE;
    let words = r#"a tuple of "readable" and "writable""#;
    let wrong = || wrong_type("poll_for", words, poll_for);
    if poll_for.is_instance_of::<PyString>() {
        return Err(wrong());
    }
    for word in poll_for.try_iter().map_err(|_| wrong())? {
        match word?.extract::<String>().as_deref() {
            Ok(READABLE) => what.readable = true,
            Ok(WRITABLE) => what.writable = true,
            Ok(_) => return Err(wrong_value("poll_for", words, poll_for)),
            Err(_) => return Err(wrong()),
        }
    }
    if what == Interest::NONE {
        return Err(wrong_value("poll_for", words, poll_for));
    }
    Ok(what)
}

/// `poller.free()`. Raises `TypeError`. Callable from any thread. cl-async: `free-poller`.
#[pyfunction]
pub fn free_poller(poller: &Bound<'_, PyAny>) -> PyResult<()> {
    let wrong = |_| wrong_type("poller", "a Poller", poller);
    let poller = poller.cast::<Poller>().map_err(wrong)?;
    poller.get().free(poller.py())
}
