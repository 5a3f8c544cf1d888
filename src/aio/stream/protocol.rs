//! What the transport calls: it feeds the reader, and says when the writer's `drain()` is to wait.

use crate::aio::futures;
use crate::aio::gil::Gil;
use crate::aio::stream::reader::StreamReader;
use crate::boundary::call::Method;
use pyo3::exceptions::PyConnectionResetError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// An asyncio protocol; `asynctcp.aio` inherits from it for what is done once a connection.
#[pyclass(frozen, subclass, weakref, module = "asynctcp._core")]
pub struct StreamProtocol {
    event_loop: Py<PyAny>,
    reader: Py<StreamReader>,
    objects: Gil<Objects>,
    state: Gil<State>,
}

/// Python objects. Whoever takes one out drops it outside of `Gil::with`.
#[derive(Default)]
struct Objects {
    /// Writers wait for the transport to take more.
    drains: Vec<Py<PyAny>>,
    /// Done when the connection is lost; made when somebody asks.
    closed: Option<Py<PyAny>>,
    /// What it was lost by.
    error: Option<Py<PyAny>>,
}

#[derive(Default)]
struct State {
    is_paused: bool,
    is_lost: bool,
    over_tls: bool,
}

impl StreamProtocol {
    /// Bytes have come.
    #[inline]
    pub(crate) fn feed(&self, data: &Bound<'_, PyBytes>) -> PyResult<()> {
        self.reader.get().feed(data)
    }

    /// A writer has nothing to wait for.
    #[inline]
    pub(crate) fn takes_more(&self, py: Python<'_>) -> bool {
        self.state
            .with(py, |state| !state.is_paused && !state.is_lost)
    }

    /// A future that is done when the transport takes more; None: it does. ConnectionResetError: the connection is lost.
    pub(crate) fn wait<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        if self.state.with(py, |state| state.is_lost) {
            return Err(PyConnectionResetError::new_err("Connection lost"));
        }
        if self.takes_more(py) {
            return Ok(None);
        }
        let future = futures::make(self.event_loop.bind(py))?;
        let kept = future.clone().unbind();
        self.objects.with(py, |objects| objects.drains.push(kept));
        Ok(Some(future))
    }

    /// A writer waits no more.
    pub(crate) fn forget(&self, future: &Bound<'_, PyAny>) {
        let py = future.py();
        let forgotten = self.objects.with(py, |objects| {
            let place = objects.drains.iter().position(|it| it.is(future));
            place.map(|place| objects.drains.swap_remove(place))
        });
        drop(forgotten);
    }

    fn wake_writers(&self, py: Python<'_>, outcome: Result<(), &PyErr>) -> PyResult<()> {
        let drains = self
            .objects
            .with(py, |objects| std::mem::take(&mut objects.drains));
        drains
            .iter()
            .try_for_each(|future| futures::settle(future.bind(py), outcome))
    }
}

#[pymethods]
impl StreamProtocol {
    #[new]
    fn new(reader: &Bound<'_, StreamReader>, r#loop: Py<PyAny>) -> Self {
        Self {
            event_loop: r#loop,
            reader: reader.clone().unbind(),
            objects: Gil::default(),
            state: Gil::default(),
        }
    }

    /// `transport` is the connection's from now on.
    fn _attach(&self, transport: &Bound<'_, PyAny>, over_tls: bool) {
        let py = transport.py();
        self.state.with(py, |state| state.over_tls = over_tls);
        self.reader.get().set(py, Some(transport.clone().unbind()));
    }

    #[getter]
    fn _reader(&self, py: Python<'_>) -> Py<StreamReader> {
        self.reader.clone_ref(py)
    }

    #[getter]
    fn _loop(&self, py: Python<'_>) -> Py<PyAny> {
        self.event_loop.clone_ref(py)
    }

    fn data_received(&self, data: &Bound<'_, PyAny>) -> PyResult<()> {
        self.reader
            .bind(data.py())
            .method(intern!(data.py(), "feed_data"), (data,))
            .map(drop)
    }

    fn eof_received(&self, py: Python<'_>) -> PyResult<bool> {
        self.reader.get().end(py)?;
        // TLS has no half that could stay open; it says so where one is asked for.
        Ok(self.state.with(py, |state| !state.over_tls))
    }

    fn connection_lost(&self, py: Python<'_>, exc: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        self.state.with(py, |state| state.is_lost = true);
        let kept = exc.as_ref().map(|exc| exc.clone().unbind());
        let closed = self.objects.with(py, |objects| {
            objects.error = kept;
            objects.closed.take()
        });
        let reader = self.reader.get();
        match &exc {
            Some(exc) => reader.fail(exc)?,
            None => reader.end(py)?,
        }
        reader.set(py, None);
        let error = exc.map(PyErr::from_value);
        let outcome = error.as_ref().map_or(Ok(()), Err);
        self.wake_writers(py, outcome)?;
        closed.map_or(Ok(()), |closed| futures::settle(closed.bind(py), outcome))
    }

    fn pause_writing(&self, py: Python<'_>) {
        self.state.with(py, |state| state.is_paused = true);
    }

    fn resume_writing(&self, py: Python<'_>) -> PyResult<()> {
        self.state.with(py, |state| state.is_paused = false);
        self.wake_writers(py, Ok(()))
    }

    /// A future that is done when the connection is lost, with the error that it was lost by.
    fn _closed<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if let Some(closed) = self.objects.held(py, |objects| &objects.closed) {
            return Ok(closed);
        }
        let closed = futures::make(self.event_loop.bind(py))?;
        if self.state.with(py, |state| state.is_lost) {
            let error = self.objects.held(py, |objects| &objects.error);
            let error = error.map(PyErr::from_value);
            futures::settle(&closed, error.as_ref().map_or(Ok(()), Err))?;
            return Ok(closed);
        }
        let kept = closed.clone().unbind();
        self.objects.with(py, |objects| objects.closed = Some(kept));
        Ok(closed)
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.event_loop)?;
        visit.call(&self.reader)?;
        let visited = self.objects.try_with(|objects| {
            objects
                .drains
                .iter()
                .try_for_each(|future| visit.call(future))?;
            visit.call(&objects.closed)?;
            visit.call(&objects.error)
        });
        visited.unwrap_or(Ok(()))
    }

    fn __clear__(&self) {
        Python::attach(|py| drop(self.objects.with(py, std::mem::take)));
    }
}
