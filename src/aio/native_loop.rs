//! The methods that `asynctcp.aio.Loop` inherits: they go before those of asyncio's own loop in the order of its classes.

use crate::aio::descriptors::Way;
use crate::aio::gil::Gil;
use crate::aio::guest;
use crate::aio::handle::{Call, Object, Time};
use crate::aio::object::{NativeLoop, make_handle};
use crate::aio::state::State;
use crate::aio::transport::object::StreamTransport;
use crate::aio::transports::{self, Transport};
use crate::aio::turn;
use crate::boundary::call::Method;
use crate::event_loop::object::EventLoop;
use crate::event_loop::stages;
use crate::io::failure::Failure;
use crate::io::sys::platform::RawFd;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::ptr::null_mut;
use std::sync::atomic::Ordering::Relaxed;

#[pymethods]
impl NativeLoop {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        Ok(Self {
            state: State::new(transports::send_late).map_err(Failure::Os)?,
            callbacks: Gil::default(),
        })
    }

    /// Takes turns until `stop()`. asyncio's `run_forever` calls it, which has set the running loop.
    fn _run_once(slf: &Bound<'_, Self>) -> PyResult<()> {
        turn::run(slf)
    }

    /// Whether this thread is inside of `start_event_loop()` or its like.
    #[staticmethod]
    fn _is_inside_callbacks(py: Python<'_>) -> bool {
        guest::is_inside_another(py)
    }

    /// Stop running after this turn.
    fn stop(&self) {
        self.state.stopping.store(true, Relaxed);
    }

    #[getter(_stopping)]
    fn is_stopping(&self) -> bool {
        self.state.stopping.load(Relaxed)
    }

    #[setter(_stopping)]
    fn set_stopping(&self, value: bool) {
        self.state.stopping.store(value, Relaxed);
    }

    #[getter(_closed)]
    fn is_closed(&self) -> bool {
        self.state.closed.load(Relaxed)
    }

    #[setter(_closed)]
    fn set_closed(&self, value: bool) {
        self.state.closed.store(value, Relaxed);
    }

    #[getter(_debug)]
    fn is_debug(&self) -> bool {
        self.state.debug.load(Relaxed)
    }

    #[setter(_debug)]
    fn set_debug(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.state.debug.store(value.is_truthy()?, Relaxed);
        Ok(())
    }

    /// Lets go of all calls and descriptors; the loop is closed.
    fn _let_go(&self, py: Python<'_>) {
        drop(self.state.take_all(py));
        self.state.close_selector(py);
    }

    /// A handle of any kind is called in the next turn.
    fn _push(&self, py: Python<'_>, handle: Py<PyAny>) {
        self.state.push(py, handle);
    }

    /// What was written in this step is sent now.
    fn _send_written(slf: &Bound<'_, Self>) -> PyResult<()> {
        turn::send_written(slf)
    }

    /// Ends the thread that sends late, until something is written again.
    fn _end_late_sender(&self, py: Python<'_>) {
        self.state.unsent.pause(py);
    }

    /// A timer handle of any kind is called when it is due.
    fn _push_timer(&self, py: Python<'_>, when: f64, handle: Py<PyAny>) {
        self.state
            .timers
            .with(py, |timers| timers.push(when, handle));
    }

    /// Calls and timers that wait.
    fn _waiting(&self, py: Python<'_>) -> (usize, usize) {
        let timers = self.state.timers.with(py, |timers| timers.each().count());
        (self.state.ready.with(py, |ready| ready.len()), timers)
    }

    /// asyncio's own timer handles say that they were cancelled.
    fn _timer_handle_cancelled(&self, py: Python<'_>, handle: &Bound<'_, PyAny>) -> PyResult<()> {
        if handle.getattr("_scheduled")?.is_truthy()? {
            let cancelled = self.state.cancelled_timers.cell(py);
            cancelled.set(cancelled.get() + 1);
        }
        Ok(())
    }

    /// Ends the loop's wait.
    fn _wake(&self, py: Python<'_>) {
        self.state.wake(py);
    }

    /// `context`: asyncio's own transports give theirs from CPython 3.15 on.
    #[pyo3(signature = (fd, callback, *args, context=None))]
    fn _add_reader<'py>(
        slf: &Bound<'py, Self>,
        fd: &Bound<'py, PyAny>,
        callback: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        context: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        watch(slf, fd, Way::Read, (callback, args, context))
    }

    #[pyo3(signature = (fd, callback, *args, context=None))]
    fn _add_writer<'py>(
        slf: &Bound<'py, Self>,
        fd: &Bound<'py, PyAny>,
        callback: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        context: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        watch(slf, fd, Way::Write, (callback, args, context))
    }

    fn _remove_reader(&self, fd: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.unwatch(fd, Way::Read)
    }

    fn _remove_writer(&self, fd: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.unwatch(fd, Way::Write)
    }

    /// Begins it, without threads of its own: this loop and that one wait in one place.
    fn _host(&self, callbacks: &Bound<'_, EventLoop>) -> PyResult<()> {
        let selector = self.state.selector(callbacks.py())?;
        stages::begin_hosted(callbacks, selector)
    }

    /// Inside of this loop that one takes its turns, too; None: not any more.
    fn _drive(&self, py: Python<'_>, callbacks: Option<Py<EventLoop>>) {
        drop(
            self.callbacks
                .with(py, |place| std::mem::replace(place, callbacks)),
        );
    }

    /// The descriptor is the transport's from now on.
    fn _adopt(&self, transport: &Bound<'_, PyAny>) -> PyResult<()> {
        let number = Transport::given(transport)?.number();
        self.state.adopt(number, transport)
    }

    /// The descriptor may be watched by somebody else, too, for a while; or not any more.
    fn _lend(&self, transport: &Bound<'_, StreamTransport>, is_lent: bool) {
        let number = transport.get().number.get();
        self.state.descriptors.with(transport.py(), |descriptors| {
            descriptors.lend(number, transport, is_lent);
        });
    }

    /// The transports of a server's connections.
    fn _served_by<'py>(&self, server: &Bound<'py, PyAny>) -> Vec<Bound<'py, PyAny>> {
        let py = server.py();
        let descriptors = &self.state.descriptors;
        let mut all = descriptors.with(py, |descriptors| descriptors.transports(py));
        all.retain(|it| {
            it.cast::<StreamTransport>()
                .is_ok_and(|it| it.get().is_of(server))
        });
        all
    }

    /// The transport whose descriptor it is, unless that is lent. Raises ValueError for what is no descriptor.
    fn _transport_of<'py>(&self, fd: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let number = fileno_of(fd)?;
        let descriptors = &self.state.descriptors;
        Ok(descriptors.with(fd.py(), |descriptors| {
            descriptors.exclusive(fd.py(), number)
        }))
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        self.state.visit(&visit)?;
        let callbacks = self.callbacks.try_with(|callbacks| visit.call(callbacks));
        callbacks.unwrap_or(Ok(()))
    }

    fn __clear__(&self) {
        Python::attach(|py| {
            drop(self.state.take_all(py));
            drop(self.callbacks.with(py, Option::take));
        });
    }
}

impl NativeLoop {
    fn unwatch(&self, fd: &Bound<'_, PyAny>, way: Way) -> PyResult<bool> {
        let py = fd.py();
        if !self.state.is_open() {
            return Ok(false);
        }
        let number = match number_of(fd) {
            Ok(number) => Some(number),
            // It was closed since.
            Err(error) => {
                let found = self
                    .state
                    .descriptors
                    .with(py, |descriptors| descriptors.number_of(fd));
                if found.is_none() {
                    return Err(error);
                }
                found
            }
        };
        number.map_or(Ok(false), |number| self.state.unwatch(py, number, way))
    }
}

/// What is to be called, with what, and in which context.
type Wanted<'a, 'py> = (
    &'a Bound<'py, PyAny>,
    &'a Bound<'py, PyTuple>,
    Option<&'a Bound<'py, PyAny>>,
);

fn watch<'py>(
    slf: &Bound<'py, NativeLoop>,
    fd: &Bound<'py, PyAny>,
    way: Way,
    (callback, args, context): Wanted<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let me = slf.get();
    me.check_open()?;
    let number = number_of(fd)?;
    let handle = if me.state.is_debug() {
        slf.method("_debug_handle", (callback, args, context))?
    } else {
        let arguments: Vec<Object> = args.iter().map(|argument| argument.as_ptr()).collect();
        let call = Call {
            callback: callback.as_ptr(),
            arguments: arguments.as_ptr(),
            count: arguments.len(),
            context: context.map_or(null_mut(), |context| context.as_ptr()),
        };
        make_handle(slf, call, Time::Ready)?
    };
    let object = fd.extract::<RawFd>().is_err().then(|| fd.clone().unbind());
    me.state.watch(slf.py(), number, way, &handle, object)?;
    Ok(handle)
}

/// As `selectors` takes them: an int, or what has `fileno()`. Less than 0: it is closed.
fn fileno_of(fd: &Bound<'_, PyAny>) -> PyResult<RawFd> {
    fd.extract::<RawFd>().or_else(|_| {
        let number = fd.method("fileno", ()).and_then(|number| number.extract());
        number.map_err(|_| PyValueError::new_err(format!("Invalid file object: {fd:?}")))
    })
}

/// [`fileno_of`] what is open.
fn number_of(fd: &Bound<'_, PyAny>) -> PyResult<RawFd> {
    let number = fileno_of(fd)?;
    if number < 0 {
        return Err(PyValueError::new_err(format!(
            "Invalid file descriptor: {number}"
        )));
    }
    Ok(number)
}
