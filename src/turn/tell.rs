//! Conditions for an `event_cb`, and what is called where there is none.

use crate::boundary::callback::Which;
use crate::io::sync::Mutex;
use crate::socket::object::Socket;
use crate::turn::app_error::Whose;
use crate::turn::dispatcher::Dispatcher;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// Replaces the default event handler; None: the library's own, which ignores what is no error.
static DEFAULT_HANDLER: Mutex<Option<Py<PyAny>>> = Mutex::new(None);
static LIBRARY_HANDLER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Sets what is called where an `event_cb` is None; None: the library's own handler again.
pub fn set_default_handler(handler: Option<Py<PyAny>>) {
    let old = std::mem::replace(&mut *DEFAULT_HANDLER.lock(), handler);
    drop(old);
}

/// What stands for an `event_cb` of None. None: the library's handler, which ignores `ignorable` conditions.
fn default_handler(py: Python<'_>, ignorable: bool) -> PyResult<Option<Bound<'_, PyAny>>> {
    let custom = DEFAULT_HANDLER
        .lock()
        .as_ref()
        .map(|handler| handler.clone_ref(py));
    if let Some(custom) = custom {
        return Ok(Some(custom.into_bound(py)));
    }
    if ignorable {
        return Ok(None);
    }
    let library = LIBRARY_HANDLER.import(py, "asynctcp._handlers", "default_event_handler")?;
    Ok(Some(library.clone()))
}

impl Dispatcher<'_> {
    /// `event_cb(condition)` of `socket`. `ignorable`: the library's own handler does nothing with it.
    pub fn tell<'py>(
        &self,
        socket: &Bound<'py, Socket>,
        ignorable: bool,
        condition: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let py = socket.py();
        let default = default_handler(py, ignorable)?;
        let nobody = default.is_none() && socket.get().event_cb(py).is_none();
        if nobody || socket.get().is_closed() {
            return Ok(());
        }
        let condition = condition()?;
        // Last of all: while Python made the condition, another thread may have closed the socket.
        if socket.get().is_closed() {
            return Ok(());
        }
        let own = socket.get().event_cb(py);
        match own.map(|own| own.into_bound(py)).or(default) {
            Some(handler) => self.call(&handler, (condition,), Which::Event, Whose::Socket(socket)),
            None => Ok(()),
        }
    }

    /// `event_cb(condition)` of a server or a lookup.
    pub fn tell_other<'py>(
        &self,
        event_cb: Option<Py<PyAny>>,
        condition: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        let py = condition.py();
        let handler = match event_cb {
            Some(event_cb) => Some(event_cb.into_bound(py)),
            None => default_handler(py, false)?,
        };
        match handler {
            Some(handler) => self.call(&handler, (condition,), Which::Event, Whose::Other(None)),
            None => Ok(()),
        }
    }
}
