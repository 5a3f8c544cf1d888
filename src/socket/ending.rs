//! How a socket ended: the reason, as `close_reason` shows it, and the `close_cb` that is told of it once.

use crate::boundary::condition;
use crate::io::failure::Failure;
use crate::io::sync::Mutex;
use crate::socket::Socket;
use pyo3::prelude::*;
use pyo3::types::{PyWeakrefMethods, PyWeakrefReference};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Why a socket is closed, if not by the app.
pub enum Reason {
    /// End of stream.
    Eof,
    /// The connection or the attempt failed, or a timeout ended it.
    Failed(Arc<Failure>),
    /// A callback of it raised: the `TcpAppError`.
    AppError(Py<PyAny>),
    /// The loop ended.
    LoopEnd,
}

impl Reason {
    fn clone_ref(&self, py: Python<'_>) -> Self {
        match self {
            Self::Eof => Self::Eof,
            Self::Failed(failure) => Self::Failed(failure.clone()),
            Self::AppError(error) => Self::AppError(error.clone_ref(py)),
            Self::LoopEnd => Self::LoopEnd,
        }
    }

    fn condition<'py>(&self, socket: &Bound<'py, Socket>) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::Eof => condition::info("TcpEof", socket),
            Self::Failed(failure) => condition::failure(socket, failure),
            Self::AppError(error) => Ok(error.bind(socket.py()).clone()),
            Self::LoopEnd => condition::loop_ended(socket.py()),
        }
    }
}

/// The end of one socket.
pub struct Ending {
    reason: Reason,
    /// What was made of the reason, as long as somebody has it. Weak, because it holds the socket: as a cycle the two
    /// would stay until Python's collector comes.
    shown: Option<Py<PyWeakrefReference>>,
}

impl Ending {
    fn shown<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.shown.as_ref()?.bind(py).upgrade()
    }

    /// For Python's garbage collector.
    pub fn visit(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        if let Reason::AppError(error) = &self.reason {
            visit.call(error)?;
        }
        visit.call(&self.shown)
    }
}

/// From now on the socket is about to be closed for `reason`, whoever closes it. The first one counts.
pub fn begin(socket: &Socket, reason: Reason) {
    let mut ending = Some(Box::new(Ending {
        reason,
        shown: None,
    }));
    if !socket.was_closed() {
        let mut state = socket.state.lock();
        if state.ending.is_none() {
            state.ending = ending.take();
        }
    }
    // Not under the lock, if it is not the first.
    drop(ending);
}

/// The condition of the ending that has begun; None: there is none.
fn condition<'py>(slf: &Bound<'py, Socket>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = slf.py();
    let reason = {
        let state = slf.get().state.lock();
        let Some(ending) = state.ending.as_ref() else {
            return Ok(None);
        };
        if let Some(shown) = ending.shown(py) {
            return Ok(Some(shown));
        }
        ending.reason.clone_ref(py)
    };
    let made = reason.condition(slf)?;
    let mut reference = Some(PyWeakrefReference::new(&made)?.unbind());
    let shown = {
        let mut state = slf.get().state.lock();
        match state.ending.as_mut() {
            Some(ending) => {
                // Another thread may have made one while Python ran.
                let other = ending.shown(py);
                if other.is_none() {
                    std::mem::swap(&mut ending.shown, &mut reference);
                }
                other
            }
            None => None,
        }
    };
    drop(reference);
    Ok(Some(shown.unwrap_or(made)))
}

/// The closing condition, for the `event_cb`. After [`begin`].
pub fn told<'py>(slf: &Bound<'py, Socket>) -> PyResult<Bound<'py, PyAny>> {
    match condition(slf)? {
        Some(condition) => Ok(condition),
        // Another thread closed the socket before the ending began: nobody will be told this.
        None => condition::info("TcpEof", slf),
    }
}

/// `close_reason`: None for an open socket and for one that the app closed.
pub fn reason<'py>(slf: &Bound<'py, Socket>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let socket = slf.get();
    if !socket.is_closed() {
        return Ok(None);
    }
    match condition(slf)? {
        // One that was never connected is closed by its loop's end alone.
        None if !socket.was_closed() => condition::loop_ended(slf.py()).map(Some),
        reason => Ok(reason),
    }
}

/// A `close_cb` that is to run.
pub struct Closing {
    /// Its socket.
    pub socket: Py<Socket>,
    /// The callback.
    pub close_cb: Py<PyAny>,
    /// Kept, so that it is given what the `event_cb` was given.
    shown: Option<Py<PyAny>>,
}

impl Closing {
    /// What it is told.
    pub fn reason<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match &self.shown {
            Some(shown) => Ok(Some(shown.bind(py).clone())),
            None => reason(self.socket.bind(py)),
        }
    }
}

/// The `close_cb`s of one loop that are to run: each in the turn after its socket was closed.
#[derive(Default)]
pub struct Closings {
    waiting: Mutex<VecDeque<Closing>>,
    /// How many. Read without the lock, by every turn.
    count: AtomicUsize,
}

impl Closings {
    /// How many are to run.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// The next one.
    pub fn pop(&self) -> Option<Closing> {
        let closing = self.waiting.lock().pop_front()?;
        self.count.fetch_sub(1, Ordering::Relaxed);
        Some(closing)
    }

    /// For Python's garbage collector: no lock is waited for.
    pub fn visit(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        let Some(waiting) = self.waiting.try_lock() else {
            return Ok(());
        };
        for closing in waiting.iter() {
            visit.call(&closing.socket)?;
            visit.call(&closing.close_cb)?;
            visit.call(&closing.shown)?;
        }
        Ok(())
    }
}

/// `slf` was closed: its `close_cb` is to run in the next turn.
pub fn leave(slf: &Bound<'_, Socket>, close_cb: Py<PyAny>) {
    let py = slf.py();
    let shown = {
        let state = slf.get().state.lock();
        let ending = state.ending.as_ref();
        ending
            .and_then(|ending| ending.shown(py))
            .map(Bound::unbind)
    };
    let closing = Closing {
        socket: slf.clone().unbind(),
        close_cb,
        shown,
    };
    let closings = &slf.get().core.closings;
    closings.waiting.lock().push_back(closing);
    closings.count.fetch_add(1, Ordering::Relaxed);
}
