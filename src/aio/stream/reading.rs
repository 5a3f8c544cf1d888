//! A read that can be awaited. Where there is enough it is over at once; else the task waits for a future of the reader's.

use crate::aio::gil::Gil;
use crate::aio::stream::reader::StreamReader;
use crate::aio::stream::waiting;
use crate::aio::stream::want::{Until, Want};
use pyo3::exceptions::{PyStopAsyncIteration, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// What `StreamReader.read()` and the others return.
#[pyclass(frozen, name = "Read", module = "asynctcp._core")]
pub struct Reading {
    reader: Py<StreamReader>,
    state: Gil<State>,
    /// The task waits for it.
    waiter: Gil<Option<Py<PyAny>>>,
}

struct State {
    want: Want,
    stage: Stage,
    /// `async for` ends where there is nothing more.
    is_iteration: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    New,
    Waiting,
    Over,
}

impl Reading {
    pub(crate) fn new(reader: &Bound<'_, StreamReader>, want: Want, is_iteration: bool) -> Self {
        Self {
            reader: reader.clone().unbind(),
            state: Gil::new(State {
                want,
                stage: Stage::New,
                is_iteration,
            }),
            waiter: Gil::default(),
        }
    }

    fn enter(&self, py: Python<'_>, stage: Stage) {
        self.state.with(py, |state| state.stage = stage);
    }

    fn stop_waiting(&self, py: Python<'_>) {
        if let Some(waiter) = self.waiter.with(py, Option::take) {
            self.reader.get().forget(waiter.bind(py));
        }
    }

    /// Tries to read; None: there is not enough.
    fn attempt<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let reader = self.reader.get();
        if let Some(error) = reader.error(py) {
            return Err(PyErr::from_value(error));
        }
        // What is wanted is taken out meanwhile, since the transport's and asyncio's code are called.
        let mut want = self.state.with(py, |state| {
            std::mem::replace(&mut state.want, Want::Some(0))
        });
        let read = match &mut want {
            Want::Some(most) => some(reader, py, *most),
            Want::All(so_far) => all(reader, py, so_far),
            Want::Exactly(count) => exactly(reader, py, *count),
            Want::Until(until) if until.is_line => line(reader, py, until),
            Want::Until(separator) => until(reader, py, separator),
        };
        self.state.with(py, |state| state.want = want);
        read
    }

    fn step(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        if let Some(data) = self.attempt(py)? {
            self.enter(py, Stage::Over);
            if data.as_bytes().is_empty() && self.state.with(py, |state| state.is_iteration) {
                return Err(PyStopAsyncIteration::new_err(()));
            }
            waiting::finish(data.as_any());
            return Ok(None);
        }
        // asyncio's `readline()` waits in `readuntil()`, and says so.
        let name = self.state.with(py, |state| match state.want {
            Want::Until(_) => "readuntil",
            _ => state.want.name(),
        });
        let waiter = self.reader.get().wait(py, name)?;
        let kept = waiter.clone().unbind();
        self.waiter.with(py, |place| *place = Some(kept));
        waiting::mark(&waiter)?;
        self.enter(py, Stage::Waiting);
        Ok(Some(waiter.unbind()))
    }
}

#[pymethods]
impl Reading {
    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        if self.state.with(py, |state| state.stage == Stage::Over) {
            return Err(waiting::is_over());
        }
        self.stop_waiting(py);
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
        self.stop_waiting(py);
        self.enter(py, Stage::Over);
    }

    #[getter]
    fn __name__(&self, py: Python<'_>) -> &'static str {
        self.state.with(py, |state| state.want.name())
    }

    #[getter]
    fn __qualname__(&self, py: Python<'_>) -> String {
        format!("StreamReader.{}", self.__name__(py))
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("<coroutine object {}>", self.__qualname__(py))
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.reader)?;
        self.waiter
            .try_with(|waiter| visit.call(waiter))
            .unwrap_or(Ok(()))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        Python::attach(|py| {
            if self.state.with(py, |state| state.stage == Stage::New) {
                waiting::warn_never_awaited(py, &self.__qualname__(py));
            }
        });
    }
}

fn some<'py>(
    reader: &StreamReader,
    py: Python<'py>,
    most: usize,
) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let count = reader.len(py).min(most);
    if count == 0 && most > 0 && !reader.has_eof(py) {
        return Ok(None);
    }
    take(reader, py, count)
}

fn all<'py>(
    reader: &StreamReader,
    py: Python<'py>,
    so_far: &mut Vec<u8>,
) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let rest = reader.with_buffer(py, |buffer| buffer.take(py, buffer.bytes(py).len()))?;
    crate::boundary::memory::extend(so_far, rest.as_bytes())?;
    reader.maybe_resume(py)?;
    if !reader.has_eof(py) {
        return Ok(None);
    }
    crate::boundary::unfilled::copy(py, so_far).map(Some)
}

fn exactly<'py>(
    reader: &StreamReader,
    py: Python<'py>,
    count: usize,
) -> PyResult<Option<Bound<'py, PyBytes>>> {
    if reader.len(py) >= count {
        return take(reader, py, count);
    }
    if reader.has_eof(py) {
        return Err(incomplete(reader, py, Some(count)));
    }
    Ok(None)
}

fn until<'py>(
    reader: &StreamReader,
    py: Python<'py>,
    until: &mut Until,
) -> PyResult<Option<Bound<'py, PyBytes>>> {
    match search(reader, py, until) {
        Search::Found(end) => take(reader, py, end),
        Search::Overrun(consumed, message) => Err(overrun(py, message, consumed)),
        Search::Nothing if reader.has_eof(py) => Err(incomplete(reader, py, None)),
        Search::Nothing => Ok(None),
    }
}

/// The line, or what there is of it at the end; one that is too long is thrown away, as far as it has come.
fn line<'py>(
    reader: &StreamReader,
    py: Python<'py>,
    until: &mut Until,
) -> PyResult<Option<Bound<'py, PyBytes>>> {
    match search(reader, py, until) {
        Search::Found(end) => take(reader, py, end),
        Search::Overrun(consumed, message) => {
            reader.with_buffer(py, |buffer| match buffer.bytes(py).get(consumed) {
                Some(b'\n') => buffer.skip(py, consumed + 1),
                _ => buffer.clear(),
            });
            reader.maybe_resume(py)?;
            Err(PyValueError::new_err(message))
        }
        Search::Nothing if reader.has_eof(py) => take(reader, py, reader.len(py)),
        Search::Nothing => Ok(None),
    }
}

enum Search {
    /// Where it ends.
    Found(usize),
    Nothing,
    /// Behind so many bytes; asyncio's words for it.
    Overrun(usize, &'static str),
}

fn search(reader: &StreamReader, py: Python<'_>, until: &mut Until) -> Search {
    reader.with_buffer(py, |buffer| {
        let bytes = buffer.bytes(py);
        if let Some(found) = until.find(bytes) {
            if found.start > reader.limit {
                return Search::Overrun(
                    found.start,
                    "Separator is found, but chunk is longer than limit",
                );
            }
            return Search::Found(found.end);
        }
        let searched = until.has_searched(bytes.len());
        if searched > reader.limit {
            return Search::Overrun(
                searched,
                "Separator is not found, and chunk exceed the limit",
            );
        }
        Search::Nothing
    })
}

fn take<'py>(
    reader: &StreamReader,
    py: Python<'py>,
    count: usize,
) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let taken = reader.with_buffer(py, |buffer| buffer.take(py, count))?;
    reader.maybe_resume(py)?;
    Ok(Some(taken))
}

/// The end has come before what was wanted: asyncio's error, with what had come.
#[cold]
fn incomplete(reader: &StreamReader, py: Python<'_>, expected: Option<usize>) -> PyErr {
    let partial = reader.with_buffer(py, |buffer| buffer.take(py, buffer.bytes(py).len()));
    match partial {
        Ok(partial) => asyncio_error(py, "IncompleteReadError", (partial, expected)),
        Err(error) => error,
    }
}

#[cold]
fn overrun(py: Python<'_>, message: &str, consumed: usize) -> PyErr {
    asyncio_error(py, "LimitOverrunError", (message, consumed))
}

fn asyncio_error<'py>(
    py: Python<'py>,
    name: &str,
    arguments: impl pyo3::call::PyCallArgs<'py>,
) -> PyErr {
    let made = py
        .import(intern!(py, "asyncio"))
        .and_then(|asyncio| asyncio.getattr(name))
        .and_then(|class| class.call1(arguments));
    made.map_or_else(|error| error, PyErr::from_value)
}
