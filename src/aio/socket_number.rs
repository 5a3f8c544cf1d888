//! The descriptor of a transport's socket object, as long as that has it.
//!
//! A program may close the socket behind its transport, and the next thing that is opened gets its number: what is written would go
//! there. `fileno()` says so, but a call for each message costs too much; so the number is looked at where the object keeps it.

use crate::boundary::call::Method;
use crate::io::sys::platform::RawFd;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use std::os::fd::BorrowedFd;

/// No descriptor has it: the kernel answers EBADF.
const NONE: RawFd = RawFd::MAX;

/// A socket object's number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SocketNumber {
    number: RawFd,
    /// It is seen in the object.
    is_seen: bool,
}

impl SocketNumber {
    /// Less than 0: the socket is closed.
    pub(crate) fn of(socket: &Bound<'_, PyAny>) -> PyResult<Self> {
        static SOCKET: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let py = socket.py();
        let number = socket.method(intern!(py, "fileno"), ())?.extract()?;
        let class = SOCKET.import(py, "_socket", "socket")?;
        // SAFETY: a socket of C's.
        let is_seen = socket.is_instance(class)? && unsafe { seen_in(socket.as_ptr()) } == number;
        Ok(Self { number, is_seen })
    }

    pub(crate) fn get(self) -> RawFd {
        self.number
    }

    /// The descriptor to receive and send by; of nothing, once the program has closed the socket.
    #[inline(always)]
    pub(crate) fn descriptor<'a>(self, socket: &Py<PyAny>) -> BorrowedFd<'a> {
        let number = if self.is_closed(socket) {
            NONE
        } else {
            self.number
        };
        // SAFETY: the object has the descriptor open, or there is none of that number, which the kernel says.
        unsafe { BorrowedFd::borrow_raw(number) }
    }

    /// The program has closed it.
    #[inline(always)]
    pub(crate) fn is_closed(self, socket: &Py<PyAny>) -> bool {
        // SAFETY: the caller has the object, and `of` has seen of which kind it is.
        self.is_seen && unsafe { seen_in(socket.as_ptr()) } != self.number
    }
}

/// What CPython's socket objects have behind the head that all objects have: their number.
///
/// # Safety
///
/// The object is an instance of `_socket.socket`, and alive.
#[inline(always)]
unsafe fn seen_in(socket: *mut ffi::PyObject) -> RawFd {
    // SAFETY: such an object is larger than its head by more than a number; the interpreter's lock is held, so nobody writes it now.
    unsafe { socket.add(1).cast::<RawFd>().read() }
}
