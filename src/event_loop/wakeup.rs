//! Signals: Python's C handler writes a byte to a socket pair, a task of the reactor reads it and wakes the pump.
//!
//! The task is needed because Tokio swallows the EINTR that a signal causes. Only the wake-up crosses: which signals
//! came, and what to do, is Python's own business when the pump looks.

use crate::io::event::Event;
use crate::io::failure::Failure;
use crate::io::hub::Hub;
use crate::io::runtime::commands::Command;
use crate::shared::loop_state::LoopState;
use crate::shared::replaced::Exchanged;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;

/// Of Python's C module: no Python code runs in it, so no signal's handler does.
static SET: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Python's wake-up descriptor while a loop runs in the main thread.
pub struct Wakeup(#[allow(dead_code)] UnixStream);

impl Wakeup {
    /// Has Python wake the loop; None: this is not the main thread.
    pub fn open(py: Python<'_>, state: &Arc<LoopState>) -> PyResult<Option<Self>> {
        let before = match set(py, -1) {
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
        set(py, write.as_raw_fd())?;
        let exchanged = Exchanged {
            ours: write.as_raw_fd(),
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
fn both_ends() -> Result<(UnixStream, UnixStream), Failure> {
    let (read, write) = UnixStream::pair()?;
    read.set_nonblocking(true)?;
    write.set_nonblocking(true)?;
    Ok((read, write))
}

/// Puts the descriptor of before the loop back, if it is still the same file and nobody has set another since.
pub fn put_back(py: Python<'_>, state: &LoopState) -> PyResult<()> {
    let Some(exchanged) = state.replaced.set_wakeup(None) else {
        return Ok(());
    };
    let now = set(py, -1)?;
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
    keywords.set_item("warn_on_full_buffer", fd == -1)?;
    set.call((fd,), Some(&keywords))?.extract()
}

fn file_of(fd: RawFd) -> Option<(u64, u64)> {
    if fd < 0 {
        return None;
    }
    // SAFETY: the descriptor is only looked at, and nothing is done if it is closed.
    let file = unsafe {
        let mut status = std::mem::zeroed::<libc::stat>();
        (libc::fstat(fd, &raw mut status) == 0).then_some(status)
    };
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
    file.map(|status| (status.st_dev as u64, status.st_ino as u64))
}

/// A task that reads the receiving end.
fn watch(hub: Arc<Hub>, read: UnixStream) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let Ok(stream) = tokio::net::UnixStream::from_std(read) else {
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
