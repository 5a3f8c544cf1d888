//! The streams over a socket: its own, which the `read_cb` gets, and those that the app makes.
//!
//! A stream owns its socket. The socket owns its own stream only from its connecting to its end, so that no cycle is
//! left afterwards: then it keeps that stream's buffer, from which the stream can be made again. Streams that the app
//! made are the app's alone.

use crate::socket::object::Socket;
use crate::socket::state::Extras;
use crate::socket::stream_refs::Own;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyWeakrefMethods, PyWeakrefReference};

static STREAM: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Makes the socket's own stream and keeps it.
pub(crate) fn make_own(socket: &Bound<'_, Socket>) -> PyResult<()> {
    let py = socket.py();
    // It attaches itself.
    let stream = class(py)?.call1((socket,))?;
    let own = Own {
        buffer: stream.getattr(intern!(py, "_buffer"))?.unbind(),
        stream: PyWeakrefReference::new(&stream)?.unbind(),
        kept: Some(stream.unbind()),
    };
    let attached = {
        let mut state = socket.get().state.lock();
        let streams = &mut state.extras_mut().streams;
        streams.own = Some(own);
        std::mem::take(&mut streams.others)
    };
    drop(attached);
    Ok(())
}

/// Keeps the socket's own stream, if it has one.
pub(crate) fn keep_own(socket: &Bound<'_, Socket>) -> PyResult<()> {
    let own = first(socket)?.map(Bound::unbind);
    let mut state = socket.get().state.lock();
    if state.extras().is_some()
        && let Some(place) = &mut state.extras_mut().streams.own
    {
        // Nothing was in it.
        place.kept = own;
    }
    Ok(())
}

/// Leaves the socket's own stream to the app.
pub(crate) fn release_own(socket: &Bound<'_, Socket>) {
    let kept = {
        let mut state = socket.get().state.lock();
        let has_any = state.extras().is_some();
        has_any.then(|| state.extras_mut().streams.release_own())
    };
    drop(kept);
}

/// The app made a stream over the socket.
pub(crate) fn attach(socket: &Bound<'_, Socket>, stream: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = socket.py();
    let reference = PyWeakrefReference::new(stream)?.unbind();
    // What comes out is dropped outside of the lock: the last holder of a stream, it may be.
    let (live, gone);
    {
        let mut state = socket.get().state.lock();
        let streams = &mut state.extras_mut().streams;
        live = streams.live(py);
        gone = streams.sort_out(py);
        streams.others.push(reference);
    }
    drop((live, gone));
    Ok(())
}

/// All streams that there are.
pub(crate) fn live<'py>(socket: &Bound<'py, Socket>) -> Vec<Bound<'py, PyAny>> {
    let state = socket.get().state.lock();
    let extras = state.extras();
    extras.map_or_else(Vec::new, |extras| extras.streams.live(socket.py()))
}

/// The first of them. The socket's own is made again where the app has let it go.
pub(crate) fn first<'py>(socket: &Bound<'py, Socket>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = socket.py();
    let (live, buffer) = {
        let state = socket.get().state.lock();
        let Some(Extras { streams, .. }) = state.extras() else {
            return Ok(None);
        };
        // Before the look: so what the look holds is not the last.
        let live = streams.live(py);
        let gone = |own: &&Own| own.stream.bind(py).upgrade().is_none();
        let own = streams.own.as_ref().filter(gone);
        (live, own.map(|own| own.buffer.clone_ref(py)))
    };
    let Some(buffer) = buffer else {
        return Ok(live.into_iter().next());
    };
    let stream = class(py)?.call_method1(intern!(py, "_again"), (socket, buffer))?;
    let mut reference = PyWeakrefReference::new(&stream)?.unbind();
    if let Some(own) = &mut socket.get().state.lock().extras_mut().streams.own {
        std::mem::swap(&mut own.stream, &mut reference);
    }
    Ok(Some(stream))
}

fn class(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    STREAM.import(py, "asynctcp._stream", "AsyncIOStream")
}
