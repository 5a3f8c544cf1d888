//! A session as the threads of its connection share it: the task opens what comes, whoever sends seals what goes.
//!
//! What opening has to say (a ticket, an answer to a key update, an alert) is put among the sealed bytes under the lock
//! under which whoever sends takes them, so records leave in the order in which they were sealed.

use crate::io::extend::extend;
use crate::io::failure::no_memory;
use crate::io::sync::Mutex;
use crate::io::tls::config::{ClientTls, ServerTls};
use crate::io::tls::failure::TlsFailure;
use crate::io::tls::info::Info;
use crate::io::tls::session::{Session, Terms, sealed_size};
use rustls::pki_types::ServerName;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// See the module's page.
#[derive(Debug)]
pub(crate) struct Tls {
    /// Leaf lock; never across a system call.
    state: Mutex<State>,
    /// The peer has sent its close_notify.
    ended: AtomicBool,
    /// Sealed bytes that the kernel took.
    taken: AtomicU64,
    /// Sealed bytes that were received.
    received: AtomicU64,
}

#[derive(Debug)]
struct State {
    session: Box<Session>,
    /// What has come of a record that is not all there.
    incoming: Vec<u8>,
    /// Records that the kernel has not taken. They go first.
    sealed: Vec<u8>,
    /// Our close_notify is sealed.
    finished: bool,
    /// Plain bytes that nobody can have yet.
    kept: Vec<u8>,
}

/// What [`Tls::open`] came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opened {
    /// The peer sends no more.
    pub(crate) ended: bool,
    /// There is something to send.
    pub(crate) wants_write: bool,
}

impl Tls {
    fn new(session: Session) -> Self {
        Self {
            state: Mutex::new(State {
                session: Box::new(session),
                incoming: Vec::new(),
                sealed: Vec::new(),
                finished: false,
                kept: Vec::new(),
            }),
            ended: AtomicBool::new(false),
            taken: AtomicU64::new(0),
            received: AtomicU64::new(0),
        }
    }

    pub(crate) fn client(
        config: &ClientTls,
        name: ServerName<'static>,
    ) -> Result<Self, TlsFailure> {
        Session::client(config, name).map(Self::new)
    }

    pub(crate) fn server(config: &Arc<ServerTls>) -> Result<Self, TlsFailure> {
        Session::server(config).map(Self::new)
    }

    /// Bytes of a record that is not all there.
    pub(crate) fn held(&self) -> usize {
        self.state.lock().incoming.len()
    }

    /// Copies those bytes.
    pub(crate) fn show_held(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.state.lock().incoming);
    }

    /// What came before the session did.
    pub(crate) fn hold(&self, incoming: Vec<u8>) {
        let old = std::mem::replace(&mut self.state.lock().incoming, incoming);
        drop(old);
    }

    /// Opens what is held and what follows it in `buffer`, where there must be room for the first: as much as
    /// [`Tls::held`] said. The task alone.
    pub(crate) fn open(
        &self,
        buffer: &mut [u8],
        plain: impl FnMut(&[u8]),
    ) -> Result<Opened, TlsFailure> {
        let mut state = self.state.lock();
        let State {
            session,
            incoming,
            sealed,
            ..
        } = &mut *state;
        let held = incoming.len();
        buffer[..held].copy_from_slice(incoming);
        let progress = session.open(buffer, plain, sealed)?;
        let rest = &buffer[progress.used..];
        if rest.is_empty() {
            if held > 0 {
                *incoming = Vec::new();
            }
        } else {
            incoming.clear();
            incoming.extend_from_slice(rest);
        }
        let wants_write = !sealed.is_empty();
        if progress.ended {
            self.ended.store(true, Ordering::SeqCst);
        }
        Ok(Opened {
            ended: progress.ended,
            wants_write,
        })
    }

    /// Plain bytes that nobody can have yet: they came with the end of the handshake, or are more than may be told.
    pub(crate) fn keep(&self, plain: &[u8]) -> io::Result<()> {
        if !plain.is_empty() {
            let mut kept = Vec::new();
            extend(&mut kept, plain).map_err(|_| no_memory())?;
            self.state.lock().kept = kept;
        }
        Ok(())
    }

    /// What [`Tls::keep`] was given.
    pub(crate) fn take_kept(&self) -> Vec<u8> {
        std::mem::take(&mut self.state.lock().kept)
    }

    /// Whether there is any of it.
    pub(crate) fn keeps(&self) -> bool {
        !self.state.lock().kept.is_empty()
    }

    /// Puts a record in the clear behind what waits to be sent.
    pub(crate) fn say(&self, record: &[u8]) {
        self.state.lock().sealed.extend_from_slice(record);
    }

    /// Whether the peer has said that it sends no more.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// A server's may change while it handshakes.
    pub(crate) fn terms(&self) -> Terms {
        self.state.lock().session.terms()
    }

    pub(crate) fn is_server(&self) -> bool {
        self.state.lock().session.is_server()
    }

    /// Whether the handshake is done.
    pub(crate) fn is_open(&self) -> bool {
        self.state.lock().session.is_open()
    }

    /// Whether the peer has taken the handshake for done, too: what it has sent since is not to be lost with what we have left
    /// to say.
    pub(crate) fn is_open_there(&self) -> bool {
        let state = self.state.lock();
        let said = !state.kept.is_empty() || self.has_ended();
        state.session.is_open_there() || (said && state.session.is_open())
    }

    /// Puts what waits to be sent behind `out`.
    pub(crate) fn take_sealed(&self, out: &mut Vec<u8>) {
        let mut state = self.state.lock();
        take(&mut state.sealed, out);
    }

    /// Puts what waits to be sent behind `out`, then `plain` as records, after the `last` of which a close_notify.
    pub(crate) fn seal<'a>(
        &self,
        plain: impl IntoIterator<Item = &'a [u8]>,
        last: bool,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        let mut state = self.state.lock();
        let State {
            session,
            incoming,
            sealed,
            finished,
            ..
        } = &mut *state;
        take(sealed, out);
        for piece in plain {
            out.try_reserve(sealed_size(piece.len()))
                .map_err(|_| no_memory())?;
            session
                .seal(piece, incoming, out)
                .map_err(io::Error::other)?;
        }
        if last && !std::mem::replace(finished, true) {
            session.finish(incoming, out);
        }
        Ok(())
    }

    /// The kernel did not take these, which were taken out: they go first. How many wait now.
    pub(crate) fn put_back(&self, rest: &[u8]) -> io::Result<usize> {
        let mut state = self.state.lock();
        let own = state.sealed.len();
        extend(&mut state.sealed, rest).map_err(|_| no_memory())?;
        state.sealed.rotate_left(own);
        Ok(state.sealed.len())
    }

    /// The kernel took so many sealed bytes more.
    pub(crate) fn count_taken(&self, bytes: u64) {
        self.taken.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many sealed bytes more were received.
    pub(crate) fn count_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Sealed bytes received so far.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Sealed bytes that the kernel took so far.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// What was agreed on, once the handshake is done.
    pub(crate) fn info(&self) -> Option<Info> {
        self.state.lock().session.info()
    }
}

/// Moves all of `from`, whose memory is given back.
fn take(from: &mut Vec<u8>, to: &mut Vec<u8>) {
    if !from.is_empty() {
        to.extend_from_slice(from);
        *from = Vec::new();
    }
}
