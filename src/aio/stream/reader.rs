//! The receiving end.

use crate::aio::futures;
use crate::aio::gil::Gil;
use crate::aio::stream::buffer::Buffer;
use crate::boundary::call::Method;
use crate::boundary::memory;
use pyo3::exceptions::{PyNotImplementedError, PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// asyncio's.
pub(crate) const DEFAULT_LIMIT: usize = 64 * 1024;

/// The receiving end of a connection, as `asyncio.StreamReader`.
///
/// A read that finds enough is over without a Python frame or a turn of the loop. `open_connection` and `start_server` make
/// it.
///
/// Args:
///     limit: bytes, int, 1 or more: a line and its like may be so long; the transport pauses while more than twice so
///         many wait.
///     loop: the event loop; None: the running one.
// Reads that wait are in `reading.rs`.
#[pyclass(frozen, weakref, module = "asynctcp.aio")]
pub struct StreamReader {
    pub(crate) event_loop: Py<PyAny>,
    pub(crate) limit: usize,
    objects: Gil<Objects>,
    incoming: Gil<Incoming>,
}

/// Python objects. Whoever takes one out drops it outside of `Gil::with`.
#[derive(Default)]
struct Objects {
    transport: Option<Py<PyAny>>,
    /// A read waits for it.
    waiter: Option<Py<PyAny>>,
    exception: Option<Py<PyAny>>,
}

#[derive(Default)]
struct Incoming {
    buffer: Buffer,
    eof: bool,
    /// The transport was told to pause.
    is_paused: bool,
}

impl StreamReader {
    /// See `asynctcp.aio.StreamReader`.
    pub(crate) fn make(event_loop: Py<PyAny>, limit: i64) -> PyResult<Self> {
        match usize::try_from(limit) {
            Ok(limit) if limit > 0 => Ok(Self {
                event_loop,
                limit,
                objects: Gil::default(),
                incoming: Gil::default(),
            }),
            _ => Err(PyValueError::new_err("Limit cannot be <= 0")),
        }
    }

    /// `f` with what is there. Bytes objects are all that it makes: that runs no Python code.
    #[inline]
    pub(crate) fn with_buffer<R>(&self, py: Python<'_>, f: impl FnOnce(&mut Buffer) -> R) -> R {
        self.incoming.with(py, |incoming| f(&mut incoming.buffer))
    }

    pub(crate) fn len(&self, py: Python<'_>) -> usize {
        self.with_buffer(py, |buffer| buffer.bytes(py).len())
    }

    pub(crate) fn has_eof(&self, py: Python<'_>) -> bool {
        self.incoming.with(py, |incoming| incoming.eof)
    }

    pub(crate) fn error<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.objects.held(py, |objects| &objects.exception)
    }

    pub(crate) fn transport<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.objects.held(py, |objects| &objects.transport)
    }

    /// What comes is read from `transport`, which is paused while too much waits.
    pub(crate) fn set(&self, py: Python<'_>, transport: Option<Py<PyAny>>) {
        let before = self.objects.with(py, |objects| {
            std::mem::replace(&mut objects.transport, transport)
        });
        drop(before);
    }

    /// Bytes have come.
    pub(crate) fn feed(&self, data: &Bound<'_, PyBytes>) -> PyResult<()> {
        let py = data.py();
        if data.as_bytes().is_empty() {
            return Ok(());
        }
        self.with_buffer(py, |buffer| buffer.push(data))?;
        self.wake(py)?;
        let much = self.incoming.with(py, |incoming| {
            !incoming.is_paused && incoming.buffer.bytes(py).len() > self.limit.saturating_mul(2)
        });
        if much { self.pause(py) } else { Ok(()) }
    }

    #[cold]
    fn pause(&self, py: Python<'_>) -> PyResult<()> {
        let Some(transport) = self.transport(py) else {
            return Ok(());
        };
        match transport.method(intern!(py, "pause_reading"), ()) {
            Ok(_) => {
                self.incoming.with(py, |incoming| incoming.is_paused = true);
                Ok(())
            }
            Err(error) if error.is_instance_of::<PyNotImplementedError>(py) => {
                // It cannot be paused: what comes is kept, without a limit.
                self.set(py, None);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Takes all that nobody has read.
    pub(crate) fn take_unread(&self, py: Python<'_>) -> PyResult<Vec<u8>> {
        let unread = self.with_buffer(py, |buffer| {
            let mut unread = Vec::new();
            memory::extend(&mut unread, buffer.bytes(py))?;
            buffer.clear();
            Ok::<_, PyErr>(unread)
        })?;
        self.maybe_resume(py)?;
        Ok(unread)
    }

    /// Little enough waits: the transport goes on.
    #[inline]
    pub(crate) fn maybe_resume(&self, py: Python<'_>) -> PyResult<()> {
        let due = self.incoming.with(py, |incoming| {
            incoming.is_paused && incoming.buffer.bytes(py).len() <= self.limit
        });
        if due { self.resume(py) } else { Ok(()) }
    }

    #[cold]
    fn resume(&self, py: Python<'_>) -> PyResult<()> {
        self.incoming
            .with(py, |incoming| incoming.is_paused = false);
        match self.transport(py) {
            Some(transport) => transport
                .method(intern!(py, "resume_reading"), ())
                .map(drop),
            None => Ok(()),
        }
    }

    /// No more comes.
    pub(crate) fn end(&self, py: Python<'_>) -> PyResult<()> {
        self.incoming.with(py, |incoming| incoming.eof = true);
        self.wake(py)
    }

    /// Reads raise it from now on.
    pub(crate) fn fail(&self, exception: &Bound<'_, PyAny>) -> PyResult<()> {
        let (py, new) = (exception.py(), exception.clone().unbind());
        let before = self
            .objects
            .with(py, |objects| objects.exception.replace(new));
        drop(before);
        self.wake(py)
    }

    /// The read that waits looks again.
    fn wake(&self, py: Python<'_>) -> PyResult<()> {
        let waiter = self.objects.with(py, |objects| objects.waiter.take());
        waiter.map_or(Ok(()), |waiter| futures::settle(waiter.bind(py), Ok(())))
    }

    /// A future that is done when there is more to look at. RuntimeError: another read waits.
    pub(crate) fn wait<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        if self.objects.with(py, |objects| objects.waiter.is_some()) {
            return Err(PyRuntimeError::new_err(format!(
                "{name}() called while another coroutine is already waiting for incoming data"
            )));
        }
        if self.incoming.with(py, |incoming| incoming.is_paused) {
            self.resume(py)?;
        }
        let waiter = futures::make(self.event_loop.bind(py))?;
        let kept = waiter.clone().unbind();
        self.objects.with(py, |objects| objects.waiter = Some(kept));
        Ok(waiter)
    }

    /// The read that waited for `waiter` does so no more.
    pub(crate) fn forget(&self, waiter: &Bound<'_, PyAny>) {
        let py = waiter.py();
        let forgotten = self.objects.with(py, |objects| {
            let is_it = |it: &mut Py<PyAny>| it.is(waiter);
            objects.waiter.take_if(is_it)
        });
        drop(forgotten);
    }

    pub(crate) fn visit(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.event_loop)?;
        let visited = self.objects.try_with(|objects| {
            visit.call(&objects.transport)?;
            visit.call(&objects.waiter)?;
            visit.call(&objects.exception)
        });
        visited.unwrap_or(Ok(()))
    }

    pub(crate) fn take_all(&self, py: Python<'_>) -> impl Sized + use<> {
        self.objects.with(py, std::mem::take)
    }

    /// As asyncio's own.
    pub(crate) fn describe(&self, py: Python<'_>) -> PyResult<String> {
        let mut words = vec!["StreamReader".to_owned()];
        match self.len(py) {
            0 => {}
            len => words.push(format!("{len} bytes")),
        }
        if self.has_eof(py) {
            words.push("eof".into());
        }
        if self.limit != DEFAULT_LIMIT {
            words.push(format!("limit={}", self.limit));
        }
        let waiter = self.objects.held(py, |objects| &objects.waiter);
        let named = [
            ("waiter", waiter),
            ("exception", self.error(py)),
            ("transport", self.transport(py)),
        ];
        for (name, object) in named {
            if let Some(object) = object {
                words.push(format!("{name}={}", object.repr()?.to_cow()?));
            }
        }
        if self.incoming.with(py, |incoming| incoming.is_paused) {
            words.push("paused".into());
        }
        Ok(format!("<{}>", words.join(" ")))
    }
}
