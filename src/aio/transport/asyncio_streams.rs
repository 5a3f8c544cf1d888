//! A short cut for asyncio's own streams: what came is put into the reader as its protocol does it, without four frames of Python.
//!
//! It is asyncio's code that runs where anything is not as that made it: classes of the program's, methods in the place of these.

use crate::boundary::call::{Method, call};
use pyo3::exceptions::PyNotImplementedError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyByteArray, PyBytes, PyFunction, PyModule, PyType};

// SAFETY: as CPython's headers declare it.
unsafe extern "C" {
    /// Not among the functions that PyO3 declares.
    fn PyMethod_Function(method: *mut ffi::PyObject) -> *mut ffi::PyObject;
}

/// What asyncio has. None: somebody had put something in the place of a function before this looked.
struct Streams {
    protocol: Py<PyType>,
    reader: Py<PyType>,
    data_received: Py<PyAny>,
    feed_data: Py<PyAny>,
    /// The class of what is looked up in an object.
    method: Py<PyType>,
}

fn streams(py: Python<'_>) -> PyResult<Option<&Streams>> {
    static STREAMS: PyOnceLock<Option<Streams>> = PyOnceLock::new();
    let streams = STREAMS.get_or_try_init(py, || {
        let module = py.import("asyncio.streams")?;
        let class = |name| {
            module
                .getattr(name)?
                .cast_into::<PyType>()
                .map_err(PyErr::from)
        };
        let (protocol, reader) = (class("StreamReaderProtocol")?, class("StreamReader")?);
        let method = py.import("types")?.getattr("MethodType")?;
        let method = method.cast_into::<PyType>()?;
        let data_received = protocol.getattr("data_received")?;
        let feed_data = reader.getattr("feed_data")?;
        let are_asyncios = is_of(&module, &data_received)? && is_of(&module, &feed_data)?;
        Ok::<_, PyErr>(are_asyncios.then(|| Streams {
            protocol: protocol.unbind(),
            reader: reader.unbind(),
            data_received: data_received.unbind(),
            feed_data: feed_data.unbind(),
            method: method.unbind(),
        }))
    })?;
    Ok(streams.as_ref())
}

/// Whether it is a function that the module's file defines.
fn is_of(module: &Bound<'_, PyModule>, function: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(function.is_exact_instance_of::<PyFunction>()
        && function
            .getattr("__globals__")?
            .is(&module.getattr("__dict__")?))
}

/// Whether the protocol is asyncio's, so that [`feed`] may do for it.
pub(crate) fn is_theirs(protocol: &Bound<'_, PyAny>) -> PyResult<bool> {
    let streams = streams(protocol.py())?;
    Ok(streams.is_some_and(|it| protocol.get_type().is(&it.protocol)))
}

/// As `StreamReaderProtocol.data_received`. False: that is to be called.
pub(crate) fn feed(protocol: &Bound<'_, PyAny>, data: &Bound<'_, PyBytes>) -> PyResult<bool> {
    let py = protocol.py();
    let Some(streams) = streams(py)? else {
        return Ok(false);
    };
    if !is_method(
        streams,
        &protocol.getattr(intern!(py, "data_received"))?,
        &streams.data_received,
    ) {
        return Ok(false);
    }
    let reference = protocol.getattr(intern!(py, "_stream_reader_wr"))?;
    if reference.is_none() {
        return Ok(false);
    }
    let reader = call(&reference, ())?;
    if !reader.get_type().is(&streams.reader)
        || !is_method(
            streams,
            &reader.getattr(intern!(py, "feed_data"))?,
            &streams.feed_data,
        )
        || reader.getattr(intern!(py, "_eof"))?.is_truthy()?
    {
        return Ok(false);
    }
    let buffer = reader.getattr(intern!(py, "_buffer"))?;
    let Ok(buffer) = buffer.cast_exact::<PyByteArray>() else {
        return Ok(false);
    };
    append(buffer, data.as_bytes())?;
    wake(&reader)?;
    pause(&reader, buffer.len())?;
    Ok(true)
}

fn is_method(streams: &Streams, method: &Bound<'_, PyAny>, function: &Py<PyAny>) -> bool {
    // SAFETY: it is a method, which its class says first; the function is borrowed from it, and compared only.
    method.get_type().is(&streams.method)
        && unsafe { PyMethod_Function(method.as_ptr()) } == function.as_ptr()
}

fn append(buffer: &Bound<'_, PyByteArray>, data: &[u8]) -> PyResult<()> {
    let before = buffer.len();
    buffer.resize(before + data.len())?;
    // SAFETY: no Python code runs while the bytes are borrowed.
    let bytes = unsafe { buffer.as_bytes_mut() };
    bytes[before..].copy_from_slice(data);
    Ok(())
}

fn wake(reader: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = reader.py();
    let waiter = reader.getattr(intern!(py, "_waiter"))?;
    if waiter.is_none() {
        return Ok(());
    }
    reader.setattr(intern!(py, "_waiter"), py.None())?;
    if waiter.method(intern!(py, "cancelled"), ())?.is_truthy()? {
        return Ok(());
    }
    waiter
        .method(intern!(py, "set_result"), (py.None(),))
        .map(drop)
}

/// Where it has more than twice its limit it takes no more.
fn pause(reader: &Bound<'_, PyAny>, length: usize) -> PyResult<()> {
    let py = reader.py();
    let limit = reader.getattr(intern!(py, "_limit"))?;
    if limit
        .extract::<usize>()
        .is_ok_and(|limit| length <= limit.saturating_mul(2))
    {
        return Ok(());
    }
    let transport = reader.getattr(intern!(py, "_transport"))?;
    if transport.is_none()
        || reader.getattr(intern!(py, "_paused"))?.is_truthy()?
        || !limit.mul(2)?.lt(length)?
    {
        return Ok(());
    }
    match transport.method(intern!(py, "pause_reading"), ()) {
        Ok(_) => reader.setattr(intern!(py, "_paused"), true),
        Err(error) if error.is_instance_of::<PyNotImplementedError>(py) => {
            reader.setattr(intern!(py, "_transport"), py.None())
        }
        Err(error) => Err(error),
    }
}
