//! What asyncio's debug mode logs of a connection.

use crate::aio::transport::object::StreamTransport;
use crate::aio::watched::Watched;
use crate::boundary::call::Method;
use pyo3::intern;
use pyo3::prelude::*;

/// Logs what it does, if the loop is in debug mode.
pub(crate) fn log(slf: &Bound<'_, StreamTransport>, what: &str) -> PyResult<()> {
    let py = slf.py();
    match slf.get().event_loop(py) {
        Some(event_loop) if event_loop.get().state.is_debug() => {
            slf.method(intern!(py, "_log"), (what,)).map(drop)
        }
        _ => Ok(()),
    }
}
