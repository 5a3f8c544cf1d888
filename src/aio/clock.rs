//! The loop's clock, which a program may replace: tests of timeouts put a `time()` of their own in its place.

use crate::aio::object::NativeLoop;
use crate::aio::state::State;
use crate::boundary::call::Method;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::atomic::Ordering::Relaxed;

/// Seconds, by the clock that the loop has now.
#[inline]
pub(crate) fn now(event_loop: &Bound<'_, NativeLoop>) -> PyResult<f64> {
    if event_loop.get().state.foreign_clock.load(Relaxed) {
        let time = event_loop.method(intern!(event_loop.py(), "time"), ())?;
        return time.extract();
    }
    Ok(State::time())
}

/// Whether its class has a clock of the program's.
pub(crate) fn is_of_the_class(event_loop: &Bound<'_, NativeLoop>) -> PyResult<bool> {
    let py = event_loop.py();
    let native = py.get_type::<NativeLoop>().getattr(intern!(py, "time"))?;
    let class = event_loop.get_type().getattr(intern!(py, "time"))?;
    Ok(!class.is(&native))
}

/// Looks whether the object has one. Not for each call: it costs as much as one.
#[inline]
pub(crate) fn look(event_loop: &Bound<'_, NativeLoop>, of_the_class: bool) -> PyResult<()> {
    let py = event_loop.py();
    let own = event_loop.getattr(intern!(py, "__dict__"))?;
    let replaced = match own.cast::<PyDict>() {
        Ok(own) => own.contains(intern!(py, "time"))?,
        Err(_) => false,
    };
    let state = &event_loop.get().state;
    state.foreign_clock.store(replaced || of_the_class, Relaxed);
    Ok(())
}
