//! Signals: Python's C handler writes a byte to a socket pair, a task of the reactor reads it and wakes the pump.
//!
//! The task is needed because Tokio swallows the EINTR that a signal causes. Only the wake-up crosses: which signals
//! came, and what to do, is Python's own business when the pump looks.

use crate::io::event::Event;
use crate::io::failure::Failure;
use crate::io::hub::Hub;
use crate::io::runtime::commands::Command;
use crate::io::sys::platform::{AsyncPipeEnd, PipeEnd, RawFd, file_of, number, pipe};
use crate::shared::loop_state::LoopState;
use crate::shared::replaced::Exchanged;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::Arc;

/// No descriptor.
const NONE: RawFd = -1i32 as RawFd;

/// Of Python's C module: no Python code runs in it, so no signal's handler does.
static SET: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Python's wake-up descriptor while a loop runs in the main thread.
pub struct Wakeup(#[allow(dead_code)] PipeEnd);

impl Wakeup {
    /// Has Python wake the loop; None: this is not the main thread.
    pub fn open(py: Python<'_>, state: &Arc<LoopState>) -> PyResult<Option<Self>> {
        let before = match set(py, NONE) {
            Ok(before) => before,
            // Only the main thread may.
            Err(error) if error.is_instance_of::<PyValueError>(py) => return Ok(None),
            Err(error) => return Err(error),
        };
        let opened = Self::pair(py, state, before);
        if opened.is_err() {
            let _ = set(py, before);
        }
        opened.map(Some)
    }

    fn pair(py: Python<'_>, state: &Arc<LoopState>, before: RawFd) -> PyResult<Self> {
        let (read, write) = both_ends()?;
        set(py, number(&write))?;
        let exchanged = Exchanged {
            ours: number(&write),
            before,
            file: file_of(before),
        };
        state.replaced.set_wakeup(Some(exchanged));
        // For a signal that came while there was none.
        (&write).write_all(&[0]).map_err(Failure::Os)?;
        state
            .hub
            .reactor
            .post(Command::Spawn(watch(state.hub.clone(), read)));
        Ok(Self(write))
    }

    /// Puts the descriptor of before back.
    pub fn close(self, py: Python<'_>, state: &LoopState) -> PyResult<()> {
        put_back(py, state)
    }
}

/// The reading and the writing end. Neither blocks.
fn both_ends() -> Result<(PipeEnd, PipeEnd), Failure> {
    let (read, write) = pipe()?;
    read.set_nonblocking(true)?;
    write.set_nonblocking(true)?;
    Ok((read, write))
}

/// Puts the descriptor of before the loop back, if it is still the same file and nobody has set another since.
pub fn put_back(py: Python<'_>, state: &LoopState) -> PyResult<()> {
    let Some(exchanged) = state.replaced.set_wakeup(None) else {
        return Ok(());
    };
    let now = set(py, NONE)?;
    if now != exchanged.ours {
        return set(py, now).map(drop);
    }
    if exchanged.file.is_some() && file_of(exchanged.before) == exchanged.file {
        set(py, exchanged.before)?;
    }
    Ok(())
}

fn set(py: Python<'_>, fd: RawFd) -> PyResult<RawFd> {
    let set = SET.import(py, "_signal", "set_wakeup_fd")?;
    let keywords = PyDict::new(py);
    keywords.set_item("warn_on_full_buffer", fd == NONE)?;
    set.call((fd,), Some(&keywords))?.extract()
}

/// A task that reads the receiving end.
fn watch(hub: Arc<Hub>, read: PipeEnd) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let Ok(stream) = AsyncPipeEnd::from_std(read) else {
            return;
        };
        let mut bytes = [0; 64];
        while stream.readable().await.is_ok() {
            match stream.try_read(&mut bytes) {
                Ok(0) => return,
                Ok(_) => hub.inbox.push_urgent(Event::Signal),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    })
}
