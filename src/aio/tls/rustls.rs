//! A session of rustls' by a `TlsConfig`: records are opened where they were received, straight into the object that the protocol
//! gets, and sealed into memory that all connections share.

use crate::aio::data::Room;
use crate::aio::gil::Gil;
use crate::aio::state::{MOST_RECEIVED, State};
use crate::aio::tls::backlog::Piece;
use crate::aio::tls::outcome::{End, Filled, Read, Received, Sealed, Stopped, Written};
use crate::boundary::{memory, unfilled};
use crate::io::sys::transfer;
use crate::io::tls::failure::TlsFailure;
use crate::io::tls::first_bytes::FirstBytes;
use crate::io::tls::info::Info;
use crate::io::tls::session::{Session, sealed_size};
use pyo3::prelude::*;
use std::collections::TryReserveError;
use std::os::fd::BorrowedFd;

/// Memory to seal into is kept up to this size.
const KEPT: usize = 512 * 1024;

/// What all sessions seal into, one at a time: it is sent before the next one does.
static SEALING: Gil<Vec<u8>> = Gil::new(Vec::new());

/// Why a session cannot go on.
enum Broken {
    Tls(TlsFailure),
    NoMemory(TryReserveError),
}

impl From<TlsFailure> for Broken {
    fn from(failure: TlsFailure) -> Self {
        Self::Tls(failure)
    }
}

impl From<TryReserveError> for Broken {
    fn from(error: TryReserveError) -> Self {
        Self::NoMemory(error)
    }
}

impl Broken {
    fn raised(self, py: Python<'_>) -> PyErr {
        match self {
            Self::Tls(failure) => error(py, &failure),
            Self::NoMemory(error) => memory::error(error),
        }
    }
}

/// See the module's page.
pub(crate) struct Rustls {
    state: Gil<Records>,
}

struct Records {
    session: Session,
    /// What has come of a record that is not all there, and what was not looked at, since nobody reads.
    incoming: Vec<u8>,
    /// Bytes of it that the session has seen: it wants to see just those again.
    seen: usize,
    /// What records held that the protocol had no room for, or that came with the end of the handshake.
    plain: Vec<u8>,
    /// What is to be sent.
    sealed: Vec<u8>,
    /// The peer has said that it sends no more.
    ended: bool,
    /// Our close_notify is sealed.
    finished: bool,
    /// What the peer began with.
    first: FirstBytes,
}

impl Records {
    /// Opens what is whole in `records`, which are all that have come, and keeps the rest.
    fn open(&mut self, records: &mut [u8], plain: impl FnMut(&[u8])) -> Result<(), TlsFailure> {
        let progress = self.session.open(records, plain, &mut self.sealed)?;
        self.ended |= progress.ended;
        self.incoming.clear();
        self.incoming.extend_from_slice(&records[progress.used..]);
        self.seen = self.incoming.len();
        if self.incoming.is_empty() {
            self.incoming = Vec::new();
        }
        Ok(())
    }

    /// Opens what has come, and keeps what it holds.
    fn open_and_keep(&mut self) -> Result<(), Broken> {
        // Records hold less than they take.
        self.plain.try_reserve(self.incoming.len())?;
        let mut records = std::mem::take(&mut self.incoming);
        self.seen = 0;
        let mut plain = std::mem::take(&mut self.plain);
        let opened = self.open(&mut records, |bytes| plain.extend_from_slice(bytes));
        if !plain.is_empty() {
            self.plain = plain;
        }
        Ok(opened?)
    }

    fn handshake(&mut self) -> Result<bool, Broken> {
        let Self {
            first,
            incoming,
            sealed,
            ..
        } = self;
        first.check(incoming, |alert| sealed.extend_from_slice(alert))?;
        self.open_and_keep()?;
        let is_open = self.session.is_open();
        if self.ended && !is_open {
            return Err(TlsFailure::cut_short().into());
        }
        Ok(is_open)
    }

    fn shut_down(&mut self) -> Result<bool, Broken> {
        if !std::mem::replace(&mut self.finished, true) {
            let seen = &mut self.incoming[..self.seen];
            self.session.finish(seen, &mut self.sealed);
        }
        // What the peer still sends is for nobody.
        let opened = self.open_and_keep();
        self.plain = Vec::new();
        opened.map(|()| self.ended)
    }
}

impl Rustls {
    pub(crate) fn new(session: Session) -> Self {
        Self {
            state: Gil::new(Records {
                session,
                incoming: Vec::new(),
                seen: 0,
                plain: Vec::new(),
                sealed: Vec::new(),
                ended: false,
                finished: false,
                first: FirstBytes::default(),
            }),
        }
    }

    /// What was agreed on, once the handshake is done.
    pub(crate) fn info(&self, py: Python<'_>) -> Option<Info> {
        self.state.with(py, |me| me.session.info())
    }

    pub(crate) fn receive<'py>(
        &self,
        py: Python<'py>,
        socket: &BorrowedFd<'_>,
        state: &State,
        opens: bool,
    ) -> Result<Received<'py>, Stopped> {
        let held = self.state.with(py, |me| me.incoming.len());
        let opens = opens && held < MOST_RECEIVED / 2;
        let at = if opens { held } else { 0 };
        let mut buffer = state.take_buffer(py);
        let received = transfer::receive(socket, &mut buffer[at..]);
        let mut kept = Ok(());
        let read = match received {
            Ok(count @ 1..) if opens => {
                let records = &mut buffer[..held + count];
                self.state
                    .with(py, |me| records[..held].copy_from_slice(&me.incoming));
                Some(self.open(py, records))
            }
            Ok(count) => {
                kept = self.feed(py, &buffer[..count]);
                None
            }
            Err(_) => None,
        };
        state.put_buffer(py, buffer);
        let count = received?;
        kept?;
        Ok(Received { count, read })
    }

    pub(crate) fn feed(&self, py: Python<'_>, bytes: &[u8]) -> PyResult<()> {
        self.state
            .with(py, |me| memory::extend(&mut me.incoming, bytes))
    }

    pub(crate) fn handshake(&self, py: Python<'_>) -> PyResult<bool> {
        let done = self.state.with(py, Records::handshake);
        done.map_err(|broken| broken.raised(py))
    }

    /// Opens `records`, which are all that have come.
    fn open<'py>(&self, py: Python<'py>, records: &mut [u8]) -> Read<'py> {
        let object = match unfilled::make(py, records.len()) {
            Ok(object) => object,
            Err(error) => return Read::failed(error),
        };
        let (start, size) = (unfilled::start(&object), records.len());
        let mut count = 0;
        let (opened, ended) = self.state.with(py, |me| {
            let mut more = Vec::new();
            let opened = me.open(records, |bytes| {
                if bytes.len() <= size - count {
                    // SAFETY: the object has room for them behind those before, and is seen by nobody else.
                    unsafe {
                        let place = start.add(count);
                        place.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
                    }
                    count += bytes.len();
                } else {
                    more.extend_from_slice(bytes);
                }
            });
            me.plain.append(&mut more);
            (opened, me.ended)
        });
        let end = match opened {
            Ok(()) => ended.then_some(End::Closed),
            Err(failure) => Some(End::Failed(error(py, &failure))),
        };
        let data = (count > 0).then(|| unfilled::filled(object, count));
        Read::of(data.transpose(), end)
    }

    pub(crate) fn read<'py>(&self, py: Python<'py>) -> Read<'py> {
        let opened = self.state.with(py, Records::open_and_keep);
        let (plain, ended) = self
            .state
            .with(py, |me| (std::mem::take(&mut me.plain), me.ended));
        let end = match opened {
            Ok(()) => ended.then_some(End::Closed),
            Err(broken) => Some(End::Failed(broken.raised(py))),
        };
        let data = (!plain.is_empty()).then(|| unfilled::copy(py, &plain));
        Read::of(data.transpose(), end)
    }

    pub(crate) fn read_into(
        &self,
        py: Python<'_>,
        buffer: &Bound<'_, PyAny>,
        size: usize,
    ) -> PyResult<Filled> {
        let opened = self.state.with(py, Records::open_and_keep);
        let mut buffer = Room::of(buffer)?;
        let (count, more, ended) = self.state.with(py, |me| {
            // SAFETY: no Python code runs meanwhile.
            let place = unsafe { buffer.bytes() };
            let count = me.plain.len().min(size).min(place.len());
            place[..count].copy_from_slice(&me.plain[..count]);
            me.plain.drain(..count);
            (count, !me.plain.is_empty(), me.ended)
        });
        let end = match opened {
            _ if more => None,
            Ok(()) => ended.then_some(End::Closed),
            Err(broken) => Some(End::Failed(broken.raised(py))),
        };
        Ok(Filled { count, more, end })
    }

    pub(crate) fn unread(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.state.with(py, |me| me.incoming.len() + me.plain.len()))
    }

    pub(crate) fn write(&self, py: Python<'_>, piece: &Piece) -> PyResult<Written> {
        let bytes = piece.bytes(py);
        let sealed = self.state.with(py, |me| {
            if me.sealed.capacity() == 0 {
                me.sealed = SEALING.with(py, std::mem::take);
            }
            me.sealed.try_reserve(sealed_size(bytes.len()))?;
            let seen = &mut me.incoming[..me.seen];
            me.session.seal(bytes, seen, &mut me.sealed)?;
            Ok(Written::All)
        });
        sealed.map_err(|broken: Broken| broken.raised(py))
    }

    pub(crate) fn unsent(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.state.with(py, |me| me.sealed.len()))
    }

    pub(crate) fn take_sealed<'py>(&self, py: Python<'py>) -> PyResult<Option<Sealed<'py>>> {
        let sealed = self.state.with(py, |me| std::mem::take(&mut me.sealed));
        Ok((!sealed.is_empty()).then_some(Sealed::Bytes(sealed)))
    }

    pub(crate) fn give_back(&self, py: Python<'_>, mut bytes: Vec<u8>) {
        if bytes.capacity() <= KEPT {
            bytes.clear();
            SEALING.with(py, |place| *place = bytes);
        }
    }

    pub(crate) fn shut_down(&self, py: Python<'_>) -> PyResult<bool> {
        let done = self.state.with(py, Records::shut_down);
        done.map_err(|broken| broken.raised(py))
    }

    pub(crate) fn truncated(&self, py: Python<'_>) -> Option<PyErr> {
        let fine = self
            .state
            .with(py, |me| me.ended || me.session.terms().truncation);
        (!fine).then(|| error(py, &TlsFailure::truncated()))
    }

    pub(crate) fn cut_short(&self, py: Python<'_>) -> PyErr {
        error(py, &TlsFailure::cut_short())
    }
}

/// As it is raised: what `asyncio` and `ssl` would have, too.
pub(crate) fn error(py: Python<'_>, failure: &TlsFailure) -> PyErr {
    let made = py
        .import("asynctcp.aio._tls_errors")
        .and_then(|module| module.getattr("failure"))
        .and_then(|function| {
            function.call1((
                libc::EPROTO,
                &failure.message,
                failure.reason,
                failure.alert,
                failure.certificate,
            ))
        });
    made.map_or_else(|error| error, PyErr::from_value)
}
