//! Sockets of the app's own that it gives to be used: checked first, taken last.

use crate::io::sys::platform::{self, RawFd};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use socket2::Socket as OwnedSocket;

static LIBRARY: PyOnceLock<Py<PyModule>> = PyOnceLock::new();

/// The Python half of this.
pub fn library(py: Python<'_>) -> PyResult<&Bound<'_, PyModule>> {
    let load = || {
        py.import("asynctcp._os_socket")
            .map(|module| module.unbind())
    };
    Ok(LIBRARY.get_or_try_init(py, load)?.bind(py))
}

/// A `socket.socket` of the app's that is to be connected, checked and not yet taken; with its family.
pub struct ToConnect<'py> {
    socket: Bound<'py, PyAny>,
    /// AF_INET or AF_INET6.
    pub family: i32,
}

impl<'py> ToConnect<'py> {
    /// Checks `sock`; None: none was given.
    pub fn from(sock: Option<&Bound<'py, PyAny>>) -> PyResult<Option<Self>> {
        let Some(socket) = sock.filter(|sock| !sock.is_none()) else {
            return Ok(None);
        };
        let py = socket.py();
        let family = library(py)?
            .call_method1(intern!(py, "check_unconnected"), (socket,))?
            .extract()?;
        Ok(Some(Self {
            socket: socket.clone(),
            family,
        }))
    }

    /// Takes its descriptor.
    pub fn take(&self) -> PyResult<OwnedSocket> {
        take(&self.socket)
    }
}

/// The family to connect with: that of the app's socket, if it gave one.
pub fn family_of(family: Option<i32>, given: Option<&ToConnect<'_>>) -> PyResult<Option<i32>> {
    match (family, given) {
        (Some(family), Some(given)) if family != given.family => {
            let message = format!(
                "family must be that of sock, {}, not {family}",
                given.family
            );
            Err(PyValueError::new_err(message))
        }
        (_, Some(given)) => Ok(Some(given.family)),
        (family, None) => Ok(family),
    }
}

/// Takes the descriptor of a `socket.socket`, which is closed for the app from now on.
pub fn take(socket: &Bound<'_, PyAny>) -> PyResult<OwnedSocket> {
    let py = socket.py();
    socket.call_method1(intern!(py, "setblocking"), (false,))?;
    let fd: RawFd = socket.call_method0(intern!(py, "detach"))?.extract()?;
    // SAFETY: `detach` gave it up: nobody else owns it. `setblocking` has just seen that it is open.
    Ok(unsafe { platform::own(fd) })
}
