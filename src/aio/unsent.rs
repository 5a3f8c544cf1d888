//! Transports with something to send at the turn's end; and where a step takes long, the thread that sends it before.

use crate::aio::gil::Gil;
use crate::io::sync::Mutex;
use pyo3::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, Builder, JoinHandle};
use std::time::Duration;

/// How often the thread looks: what is written waits for up to twice as long.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// More bytes than so do not wait for the turn's end: they would leave the processor's cache.
const MUCH: usize = 64 * 1024;

/// Sends what a transport has, without a call of its protocol.
pub(crate) type SendLate = fn(&Bound<'_, PyAny>);

/// The list, and its thread, which is there once a step has written.
pub(crate) struct Unsent {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// There is one.
    is_started: AtomicBool,
    send: SendLate,
    /// Bytes that were written since the list was taken.
    bytes: AtomicUsize,
}

/// The counters are written with the interpreter's lock held. The thread reads them without: it takes the lock when it is late only.
#[derive(Default)]
struct Shared {
    list: Gil<Vec<Py<PyAny>>>,
    /// Writes so far.
    written: AtomicU64,
    /// The one with which the step that has written began to.
    began: AtomicU64,
    /// Those that were sent, or are being.
    sent: AtomicU64,
    /// The thread sleeps until it is woken.
    is_parked: AtomicBool,
    is_over: AtomicBool,
}

impl Unsent {
    pub(crate) fn new(send: SendLate) -> Self {
        Self {
            shared: Arc::default(),
            thread: Mutex::new(None),
            is_started: AtomicBool::new(false),
            send,
            bytes: AtomicUsize::new(0),
        }
    }

    /// A transport, which is not in the list, is to send so many bytes.
    #[inline]
    pub(crate) fn push(&self, py: Python<'_>, transport: Py<PyAny>, bytes: usize) {
        let first = self.shared.list.with(py, |list| {
            list.push(transport);
            list.len() == 1
        });
        if first {
            self.begin();
            self.bytes.store(bytes, Ordering::Relaxed);
        } else {
            self.note(bytes);
        }
    }

    /// One that is in the list is to send so many more.
    #[inline]
    pub(crate) fn note(&self, bytes: usize) {
        let before = self.bytes.load(Ordering::Relaxed);
        self.bytes.store(before + bytes, Ordering::Relaxed);
        let written = self.shared.written.load(Ordering::Relaxed);
        self.shared.written.store(written + 1, Ordering::Relaxed);
    }

    fn begin(&self) {
        let written = self.shared.written.load(Ordering::Relaxed) + 1;
        self.shared.began.store(written, Ordering::Relaxed);
        // The thread parks and then looks at this; here it is the other way round. Both in one order.
        self.shared.written.store(written, Ordering::SeqCst);
        if self.shared.is_parked.load(Ordering::SeqCst) {
            self.wake();
        } else if !self.is_started.load(Ordering::Relaxed) {
            self.start();
        }
    }

    #[cold]
    fn wake(&self) {
        self.shared.is_parked.store(false, Ordering::SeqCst);
        let thread = self.thread.lock().as_ref().map(|it| it.thread().clone());
        if let Some(thread) = thread {
            thread.unpark();
        }
    }

    /// Where no thread can be had, what is written waits for the turn's end.
    #[cold]
    fn start(&self) {
        let (shared, send) = (Arc::clone(&self.shared), self.send);
        let started = Builder::new()
            .name("asynctcp-flush".into())
            .spawn(move || watch(&shared, send));
        if let Ok(started) = started {
            *self.thread.lock() = Some(started);
            self.is_started.store(true, Ordering::Relaxed);
        }
    }

    /// Those that are to send now, in the order in which they were written to.
    #[inline(always)]
    pub(crate) fn take(&self, py: Python<'_>) -> Option<Vec<Py<PyAny>>> {
        let list = self
            .shared
            .list
            .with(py, |list| (!list.is_empty()).then(|| std::mem::take(list)))?;
        let written = self.shared.written.load(Ordering::Relaxed);
        self.shared.sent.store(written, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
        Some(list)
    }

    /// Whether so much waits that it is better sent now.
    #[inline(always)]
    pub(crate) fn is_much(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) >= MUCH
    }

    /// The list's memory, empty, for the next step's.
    #[inline]
    pub(crate) fn put_back(&self, py: Python<'_>, taken: Vec<Py<PyAny>>) {
        self.shared.list.with(py, |list| {
            if list.is_empty() {
                *list = taken;
            }
        });
    }

    /// All Python objects, for the end; the thread ends, too.
    pub(crate) fn end(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        self.end_thread();
        self.take(py).unwrap_or_default()
    }

    /// Ends the thread, and waits for that; the next step that writes starts another. All that was written is sent.
    pub(crate) fn pause(&self, py: Python<'_>) {
        let Some(thread) = self.thread.lock().take() else {
            return;
        };
        self.is_started.store(false, Ordering::Relaxed);
        self.shared.is_over.store(true, Ordering::SeqCst);
        thread.thread().unpark();
        // It may be waiting for the interpreter's lock.
        py.detach(|| drop(thread.join()));
        self.shared.is_over.store(false, Ordering::SeqCst);
    }

    fn end_thread(&self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        self.wake();
    }

    pub(crate) fn visit(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        let each = |transport: &Py<PyAny>| visit.call(transport);
        let visited = self
            .shared
            .list
            .try_with(|list| list.iter().try_for_each(each));
        visited.unwrap_or(Ok(()))
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        self.end_thread();
    }
}

/// What the thread does until the loop ends.
fn watch(shared: &Shared, send: SendLate) {
    let (mut seen, mut late) = (0, 0);
    while !shared.is_over.load(Ordering::SeqCst) {
        let written = shared.written.load(Ordering::SeqCst);
        let began = shared.began.load(Ordering::Relaxed);
        let waits = written != shared.sent.load(Ordering::Relaxed);
        if waits && began == seen && written != late {
            // The same step as at the last look.
            send_all(shared, send);
            late = written;
        } else if !waits && began == seen {
            park(shared, written);
        }
        seen = began;
        thread::park_timeout(LOOK_EVERY);
    }
}

/// Nothing was written for a while: it sleeps until something is.
fn park(shared: &Shared, written: u64) {
    shared.is_parked.store(true, Ordering::SeqCst);
    while shared.written.load(Ordering::SeqCst) == written
        && shared.is_parked.load(Ordering::SeqCst)
        && !shared.is_over.load(Ordering::SeqCst)
    {
        thread::park();
    }
    shared.is_parked.store(false, Ordering::SeqCst);
}

/// Takes the interpreter's lock for it, unless the interpreter ends.
fn send_all(shared: &Shared, send: SendLate) {
    Python::try_attach(|py| {
        let transports: Vec<Py<PyAny>> = shared.list.with(py, |list| {
            list.iter()
                .map(|transport| transport.clone_ref(py))
                .collect()
        });
        for transport in &transports {
            send(transport.bind(py));
        }
    });
}
