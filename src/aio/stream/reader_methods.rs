//! What Python calls of a reader.

use crate::aio::stream::reader::StreamReader;
use crate::aio::stream::reading::Reading;
use crate::aio::stream::want::{Until, Want};
use pyo3::exceptions::{PyAssertionError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;

#[pymethods]
impl StreamReader {
    #[new]
    #[pyo3(signature = (limit=65536, r#loop=None))]
    fn new(py: Python<'_>, limit: i64, r#loop: Option<Py<PyAny>>) -> PyResult<Self> {
        static RUNNING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let event_loop = match r#loop {
            Some(event_loop) => event_loop,
            None => RUNNING
                .import(py, "asyncio", "get_running_loop")?
                .call0()?
                .unbind(),
        };
        Self::make(event_loop, limit)
    }

    /// Read at most `n` bytes, at least one where the end has not come; without `n`, all until the end.
    #[pyo3(signature = (n=-1), text_signature = "($self, n=-1)")]
    fn read(slf: &Bound<'_, Self>, n: i64) -> Reading {
        let want = usize::try_from(n).map_or_else(|_| Want::All(Vec::new()), Want::Some);
        Reading::new(slf, want, false)
    }

    /// Read `n` bytes.
    fn readexactly(slf: &Bound<'_, Self>, n: i64) -> PyResult<Reading> {
        let Ok(count) = usize::try_from(n) else {
            return Err(PyValueError::new_err(
                "readexactly size can not be less than zero",
            ));
        };
        Ok(Reading::new(slf, Want::Exactly(count), false))
    }

    /// Read up to and with a newline; at the end, what there is.
    fn readline(slf: &Bound<'_, Self>) -> Reading {
        Reading::new(slf, Want::Until(Until::line()), false)
    }

    /// Read up to and with a separator, bytes; of a tuple of them, the one that ends first.
    #[pyo3(signature = (separator=None))]
    fn readuntil(slf: &Bound<'_, Self>, separator: Option<&Bound<'_, PyAny>>) -> PyResult<Reading> {
        let until = match separator {
            Some(separator) => Until::separator(separator)?,
            None => Until::separator(PyBytes::new(slf.py(), b"\n").as_any())?,
        };
        Ok(Reading::new(slf, Want::Until(until), false))
    }

    fn __aiter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// The next line.
    fn __anext__(slf: &Bound<'_, Self>) -> Reading {
        Reading::new(slf, Want::Until(Until::line()), true)
    }

    /// Whether the end has come and all before it was read.
    fn at_eof(&self, py: Python<'_>) -> bool {
        self.has_eof(py) && self.len(py) == 0
    }

    /// What reads raise, or None.
    fn exception<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.error(py)
    }

    /// Have reads raise it.
    fn set_exception(&self, exc: &Bound<'_, PyAny>) -> PyResult<()> {
        self.fail(exc)
    }

    /// What comes is read from `transport`, which is paused while more than twice the limit waits.
    fn set_transport(&self, transport: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = transport.py();
        if self.transport(py).is_some() {
            return Err(PyAssertionError::new_err("Transport already set"));
        }
        self.set(py, Some(transport.clone().unbind()));
        Ok(())
    }

    /// `data` has come.
    fn feed_data(&self, data: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.has_eof(data.py()) {
            return Err(PyAssertionError::new_err("feed_data after feed_eof"));
        }
        match data.cast_exact::<PyBytes>() {
            Ok(data) => self.feed(data),
            Err(_) => {
                let class = data.py().get_type::<PyBytes>();
                self.feed(class.call1((data,))?.cast::<PyBytes>()?)
            }
        }
    }

    /// The end has come.
    fn feed_eof(&self, py: Python<'_>) -> PyResult<()> {
        self.end(py)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        self.describe(py)
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        self.visit(&visit)
    }

    fn __clear__(&self) {
        Python::attach(|py| drop(self.take_all(py)));
    }
}
