//! A `drain()` that can be awaited.

use crate::aio::gil::Gil;
use crate::aio::stream::protocol::StreamProtocol;
use crate::aio::stream::reader::StreamReader;
use crate::aio::stream::waiting;
use crate::boundary::call::Method;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// What `StreamWriter.drain()` returns where there is something to wait for, or to raise.
#[pyclass(frozen, name = "Drain", module = "asynctcp._core")]
pub struct Draining {
    protocol: Py<StreamProtocol>,
    reader: Option<Py<StreamReader>>,
    /// A connection that closes is given a turn to be lost in, so that whoever only writes is told.
    yields: bool,
    stage: Gil<Stage>,
    future: Gil<Option<Py<PyAny>>>,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Stage {
    #[default]
    New,
    Yielded,
    Waiting,
    Over,
}

/// The `drain()` of a writer with that protocol and reader, which is closing or not.
pub(crate) fn make<'py>(
    py: Python<'py>,
    protocol: &Py<StreamProtocol>,
    reader: Option<&Py<StreamReader>>,
    is_closing: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let draining = Draining {
        protocol: protocol.clone_ref(py),
        reader: reader.map(|reader| reader.clone_ref(py)),
        yields: is_closing,
        stage: Gil::default(),
        future: Gil::default(),
    };
    Ok(Bound::new(py, draining)?.into_any())
}

/// The one for all that have nothing to wait for.
pub(crate) fn nothing(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static NOTHING: PyOnceLock<Py<Nothing>> = PyOnceLock::new();
    let nothing = NOTHING.get_or_try_init(py, || Py::new(py, Nothing))?;
    Ok(nothing.bind(py).clone().into_any())
}

impl Draining {
    fn enter(&self, py: Python<'_>, stage: Stage) {
        self.stage.with(py, |place| *place = stage);
    }

    fn stop_waiting<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let future = self.future.with(py, Option::take)?.into_bound(py);
        self.protocol.get().forget(&future);
        Some(future)
    }

    fn step(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let stage = self.stage.with(py, |stage| *stage);
        if stage == Stage::Over {
            return Err(waiting::is_over());
        }
        if let Some(future) = self.stop_waiting(py) {
            // Raises what the connection was lost by.
            future.method(intern!(py, "result"), ())?;
            self.enter(py, Stage::Over);
            return Ok(None);
        }
        if stage == Stage::New {
            if let Some(error) = self.reader.as_ref().and_then(|it| it.get().error(py)) {
                return Err(PyErr::from_value(error));
            }
            if self.yields {
                self.enter(py, Stage::Yielded);
                return Ok(Some(py.None()));
            }
        }
        let Some(future) = self.protocol.get().wait(py)? else {
            self.enter(py, Stage::Over);
            return Ok(None);
        };
        let kept = future.clone().unbind();
        self.future.with(py, |place| *place = Some(kept));
        waiting::mark(&future)?;
        self.enter(py, Stage::Waiting);
        Ok(Some(future.unbind()))
    }
}

#[pymethods]
impl Draining {
    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.step(py).inspect_err(|_| self.enter(py, Stage::Over))
    }

    fn send(&self, value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        waiting::send(value, self.__next__(value.py()))
    }

    #[pyo3(signature = (kind, value=None, _traceback=None))]
    fn throw(
        &self,
        kind: &Bound<'_, PyAny>,
        value: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        self.close(kind.py());
        Err(waiting::thrown(kind, value))
    }

    fn close(&self, py: Python<'_>) {
        drop(self.stop_waiting(py));
        self.enter(py, Stage::Over);
    }

    #[getter]
    fn __qualname__(&self) -> &'static str {
        "StreamWriter.drain"
    }

    fn __repr__(&self) -> &'static str {
        "<coroutine object StreamWriter.drain>"
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.protocol)?;
        visit.call(&self.reader)?;
        self.future
            .try_with(|future| visit.call(future))
            .unwrap_or(Ok(()))
    }
}

impl Drop for Draining {
    fn drop(&mut self) {
        Python::attach(|py| {
            if self.stage.with(py, |stage| *stage == Stage::New) {
                waiting::warn_never_awaited(py, self.__qualname__());
            }
        });
    }
}

/// A `drain()` that is over at once, any number of times.
#[pyclass(frozen, name = "Drained", module = "asynctcp._core")]
pub struct Nothing;

#[pymethods]
impl Nothing {
    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self) -> Option<Py<PyAny>> {
        None
    }

    fn send(&self, value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        waiting::send(value, Ok(None))
    }

    #[pyo3(signature = (kind, value=None, _traceback=None))]
    fn throw(
        &self,
        kind: &Bound<'_, PyAny>,
        value: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        Err(waiting::thrown(kind, value))
    }

    fn close(&self) {}

    #[getter]
    fn __qualname__(&self) -> &'static str {
        "StreamWriter.drain"
    }

    fn __repr__(&self) -> &'static str {
        "<coroutine object StreamWriter.drain>"
    }
}
