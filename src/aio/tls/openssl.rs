//! A session of OpenSSL's: the `SSLObject` that an `ssl.SSLContext` made, between two `MemoryBIO`s.
//!
//! Each of its calls costs as much as a tenth of a message, so there are four for an echo: one puts what came into the session, one
//! reads it, one seals the answer, one takes it.

use crate::aio::gil::Gil;
use crate::aio::state::State;
use crate::aio::tls::backlog::Piece;
use crate::aio::tls::outcome::{End, Filled, Read, Received, Sealed, Stopped, Written};
use crate::boundary::call::Method;
use crate::boundary::unfilled;
use crate::io::sys::transfer;
use pyo3::exceptions::PyConnectionResetError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PySlice, PyType};
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Plain bytes in one record (RFC 8446, 5.1): more are never read at once.
const RECORD: usize = 16 * 1024;

/// See the module's page.
pub(crate) struct OpenSsl {
    /// None once the connection is lost: the context goes, too, when nobody else has it.
    parts: Gil<Option<Parts>>,
    /// Bytes that may be in the session: so many plain ones can be read at most.
    inside: AtomicUsize,
}

/// Its objects.
pub(crate) struct Parts {
    /// As the app sees it.
    object: Py<PyAny>,
    /// What is called for each message: the native object in it, unless a class of the program's is in between.
    native: Py<PyAny>,
    incoming: Py<PyAny>,
    outgoing: Py<PyAny>,
}

/// The session wants to receive first.
fn is_again(py: Python<'_>, error: &PyErr) -> bool {
    static AGAIN: PyOnceLock<(Py<PyType>, Py<PyType>)> = PyOnceLock::new();
    let found = AGAIN.get_or_try_init(py, || {
        let module = py.import("ssl")?;
        let class = |name| Ok::<_, PyErr>(module.getattr(name)?.cast_into::<PyType>()?.unbind());
        Ok::<_, PyErr>((class("SSLWantReadError")?, class("SSLSyscallError")?))
    });
    found.is_ok_and(|(read, system)| {
        error.is_instance(py, read.bind(py)) || error.is_instance(py, system.bind(py))
    })
}

/// A view of memory that outlives it: whoever is called with it must not keep it.
///
/// # Safety
///
/// Nothing keeps the view longer than the memory is there.
unsafe fn view<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let (start, len) = (bytes.as_ptr().cast_mut().cast(), bytes.len() as isize);
    // SAFETY: as above; it is for reading only.
    unsafe {
        let made = ffi::PyMemoryView_FromMemory(start, len, ffi::PyBUF_READ);
        Bound::from_owned_ptr_or_err(py, made)
    }
}

impl OpenSsl {
    pub(crate) fn new(
        object: &Bound<'_, PyAny>,
        incoming: &Bound<'_, PyAny>,
        outgoing: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let py = object.py();
        let class = py.import("ssl")?.getattr("SSLObject")?;
        let native = if object.get_type().is(&class) {
            object.getattr("_sslobj")?
        } else {
            object.clone()
        };
        Ok(Self {
            parts: Gil::new(Some(Parts {
                object: object.clone().unbind(),
                native: native.unbind(),
                incoming: incoming.clone().unbind(),
                outgoing: outgoing.clone().unbind(),
            })),
            inside: AtomicUsize::new(0),
        })
    }

    /// One of its objects; None: it is lost.
    fn part<'py>(
        &self,
        py: Python<'py>,
        pick: impl FnOnce(&Parts) -> &Py<PyAny>,
    ) -> Option<Bound<'py, PyAny>> {
        let part = self.parts.with(py, |parts| {
            parts.as_ref().map(|parts| pick(parts).clone_ref(py))
        });
        part.map(|part| part.into_bound(py))
    }

    /// [`Self::part`] for an operation.
    fn needed<'py>(
        &self,
        py: Python<'py>,
        pick: impl FnOnce(&Parts) -> &Py<PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let lost = || PyConnectionResetError::new_err("the connection is lost");
        self.part(py, pick).ok_or_else(lost)
    }

    pub(crate) fn object<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.part(py, |parts| &parts.object)
    }

    /// Its objects, to be dropped.
    pub(crate) fn take(&self, py: Python<'_>) -> Option<Parts> {
        self.parts.with(py, Option::take)
    }

    pub(crate) fn receive<'py>(
        &self,
        py: Python<'py>,
        socket: &BorrowedFd<'_>,
        state: &State,
    ) -> Result<Received<'py>, Stopped> {
        let mut buffer = state.take_buffer(py);
        let received = transfer::receive(socket, &mut buffer);
        let fed = match received {
            Ok(count) if count > 0 => self.feed(py, &buffer[..count]),
            _ => Ok(()),
        };
        state.put_buffer(py, buffer);
        let count = received?;
        fed?;
        Ok(Received { count, read: None })
    }

    pub(crate) fn feed(&self, py: Python<'_>, bytes: &[u8]) -> PyResult<()> {
        // SAFETY: a MemoryBIO copies what it is given.
        let view = unsafe { view(py, bytes)? };
        let incoming = self.needed(py, |parts| &parts.incoming)?;
        incoming.method(intern!(py, "write"), (view,))?;
        self.inside.fetch_add(bytes.len(), Relaxed);
        Ok(())
    }

    pub(crate) fn handshake(&self, py: Python<'_>) -> PyResult<bool> {
        let native = self.needed(py, |parts| &parts.native)?;
        match native.method(intern!(py, "do_handshake"), ()) {
            Ok(_) => Ok(true),
            Err(error) if is_again(py, &error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether all that has come was read, after a read of `got` bytes that asked for `asked`.
    fn is_drained(&self, py: Python<'_>, got: usize, asked: usize) -> PyResult<bool> {
        if self.unread(py)? > 0 {
            return Ok(false);
        }
        if got < asked {
            return Ok(true);
        }
        let native = self.needed(py, |parts| &parts.native)?;
        let inside = native.method(intern!(py, "pending"), ())?;
        Ok(inside.extract::<usize>()? == 0)
    }

    /// Nothing more comes out: at most the beginning of a record is in the session.
    fn note_empty(&self) {
        let inside = self.inside.load(Relaxed);
        self.inside.store(inside.min(RECORD), Relaxed);
    }

    pub(crate) fn read<'py>(&self, py: Python<'py>) -> Read<'py> {
        let native = match self.needed(py, |parts| &parts.native) {
            Ok(native) => native,
            Err(error) => return Read::failed(error),
        };
        let mut pieces: Vec<Bound<'py, PyBytes>> = Vec::new();
        let end = loop {
            let asked = self.inside.load(Relaxed).clamp(64, RECORD);
            match native.method(intern!(py, "read"), (asked,)) {
                Ok(piece) => {
                    let Ok(piece) = piece.cast_into::<PyBytes>() else {
                        break None;
                    };
                    let got = piece.as_bytes().len();
                    if got == 0 {
                        break Some(End::Closed);
                    }
                    self.inside
                        .fetch_sub(got.min(self.inside.load(Relaxed)), Relaxed);
                    pieces.push(piece);
                    match self.is_drained(py, got, asked) {
                        Ok(true) => {
                            self.inside.store(0, Relaxed);
                            break None;
                        }
                        Ok(false) => {}
                        Err(error) => break Some(End::Failed(error)),
                    }
                }
                Err(error) if is_again(py, &error) => {
                    self.note_empty();
                    break None;
                }
                Err(error) => break Some(End::Failed(error)),
            }
        };
        Read::of(join(py, pieces), end)
    }

    pub(crate) fn read_into(
        &self,
        py: Python<'_>,
        buffer: &Bound<'_, PyAny>,
        size: usize,
    ) -> PyResult<Filled> {
        let native = self.needed(py, |parts| &parts.native)?;
        let whole = bytes_in(buffer, size)?;
        let mut count = 0;
        let end = loop {
            let part = whole.get_item(PySlice::new(py, count as isize, size as isize, 1))?;
            match native.method(intern!(py, "read"), (size - count, part)) {
                Ok(got) => {
                    // A class of the program's may have said more.
                    let got = got.extract::<usize>()?.min(size - count);
                    if got == 0 {
                        break Some(End::Closed);
                    }
                    count += got;
                    self.inside
                        .fetch_sub(got.min(self.inside.load(Relaxed)), Relaxed);
                    if count == size {
                        let more = true;
                        return Ok(Filled {
                            count,
                            more,
                            end: None,
                        });
                    }
                }
                Err(error) if is_again(py, &error) => {
                    self.note_empty();
                    break None;
                }
                Err(error) => break Some(End::Failed(error)),
            }
        };
        let more = false;
        Ok(Filled { count, more, end })
    }

    pub(crate) fn unread(&self, py: Python<'_>) -> PyResult<usize> {
        pending(self.part(py, |parts| &parts.incoming))
    }

    pub(crate) fn write(&self, py: Python<'_>, piece: &Piece) -> PyResult<Written> {
        let native = self.needed(py, |parts| &parts.native)?;
        let bytes = piece.bytes(py);
        let written = match piece {
            Piece::Lent(object, part) if part.len() == object.as_bytes(py).len() => {
                native.method(intern!(py, "write"), (object,))
            }
            _ => {
                // SAFETY: the session seals what it is given, and keeps nothing of it; the piece is there meanwhile.
                let view = unsafe { view(py, bytes)? };
                native.method(intern!(py, "write"), (view,))
            }
        };
        match written {
            Ok(count) => {
                let count: usize = count.extract()?;
                Ok(if count < bytes.len() {
                    Written::Some(count)
                } else {
                    Written::All
                })
            }
            Err(error) if is_again(py, &error) => Ok(Written::Some(0)),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn unsent(&self, py: Python<'_>) -> PyResult<usize> {
        pending(self.part(py, |parts| &parts.outgoing))
    }

    pub(crate) fn take_sealed<'py>(&self, py: Python<'py>) -> PyResult<Option<Sealed<'py>>> {
        let outgoing = self.needed(py, |parts| &parts.outgoing)?;
        let taken = outgoing.method(intern!(py, "read"), ())?;
        let taken = taken.cast_into::<PyBytes>()?;
        Ok((!taken.as_bytes().is_empty()).then_some(Sealed::Object(taken)))
    }

    pub(crate) fn shut_down(&self, py: Python<'_>) -> PyResult<bool> {
        let object = self.needed(py, |parts| &parts.object)?;
        match object.method(intern!(py, "unwrap"), ()) {
            Ok(_) => Ok(true),
            Err(error) if is_again(py, &error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn cut_short(&self, _: Python<'_>) -> PyErr {
        PyConnectionResetError::new_err(())
    }

    pub(crate) fn visit(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        let visited = self.parts.try_with(|parts| {
            let Some(parts) = parts else { return Ok(()) };
            visit.call(&parts.object)?;
            visit.call(&parts.native)?;
            visit.call(&parts.incoming)?;
            visit.call(&parts.outgoing)
        });
        visited.unwrap_or(Ok(()))
    }
}

/// A view of a protocol's buffer, which has `size` items, in which each is a byte.
fn bytes_in<'py>(buffer: &Bound<'py, PyAny>, size: usize) -> PyResult<Bound<'py, PyAny>> {
    let py = buffer.py();
    // SAFETY: it returns a new reference, or null with an exception set.
    let view = unsafe {
        let view = ffi::PyMemoryView_FromObject(buffer.as_ptr());
        Bound::from_owned_ptr_or_err(py, view)?
    };
    if view.getattr(intern!(py, "nbytes"))?.extract::<usize>()? == size {
        return Ok(view);
    }
    view.method(intern!(py, "cast"), ("B",))
}

/// Bytes in a BIO.
fn pending(bio: Option<Bound<'_, PyAny>>) -> PyResult<usize> {
    match bio {
        Some(bio) => bio.getattr(intern!(bio.py(), "pending"))?.extract(),
        None => Ok(0),
    }
}

/// One object of all.
fn join<'py>(
    py: Python<'py>,
    mut pieces: Vec<Bound<'py, PyBytes>>,
) -> PyResult<Option<Bound<'py, PyBytes>>> {
    if pieces.len() < 2 {
        return Ok(pieces.pop());
    }
    let size = pieces.iter().map(|piece| piece.as_bytes().len()).sum();
    let whole = unfilled::make(py, size)?;
    let mut at = unfilled::start(&whole);
    for piece in &pieces {
        let bytes = piece.as_bytes();
        // SAFETY: the object has room for all of them, and is seen by nobody else.
        unsafe {
            at.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            at = at.add(bytes.len());
        }
    }
    Ok(Some(whole))
}
