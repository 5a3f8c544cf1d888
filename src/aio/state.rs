//! One loop: what is ready, what waits for its time, and what waits for a descriptor.

use crate::aio::descriptors::{Descriptors, Replaced, Way};
use crate::aio::gil::Gil;
use crate::aio::handle;
use crate::aio::timers::Timers;
use crate::aio::unsent::{SendLate, Unsent};
use crate::boundary::call::Method;
use crate::io::failure::Failure;
use crate::io::runtime::driver::keep_heap;
use crate::io::sys::platform::epoll::{Interest, Selector};
use crate::io::sys::platform::{self, RawFd};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyWeakrefReference;
use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// A transport receives no more at once, in bytes: asyncio's own bound.
pub(crate) const MOST_RECEIVED: usize = 256 * 1024;

/// A counter that the interpreter's lock guards; handles have its address.
#[derive(Default)]
pub(crate) struct Count(Cell<usize>);

// SAFETY: only threads that have the interpreter's lock get at it: handles are Python objects, and the loop asks with a `Python`.
unsafe impl Sync for Count {}

impl Count {
    pub(crate) fn cell(&self, _: Python<'_>) -> &Cell<usize> {
        &self.0
    }
}

/// Shared by all that has the loop's object. The flags are changed with the interpreter's lock held.
pub(crate) struct State {
    /// None once it is closed.
    selector: Gil<Option<Arc<Selector>>>,
    pub(crate) ready: Gil<VecDeque<Py<PyAny>>>,
    pub(crate) timers: Gil<Timers>,
    pub(crate) cancelled_timers: Count,
    pub(crate) descriptors: Gil<Descriptors>,
    pub(crate) stopping: AtomicBool,
    pub(crate) closed: AtomicBool,
    pub(crate) debug: AtomicBool,
    /// It waits without the interpreter's lock, or is about to: what is made ready must wake it.
    pub(crate) sleeping: AtomicBool,
    /// When it last looked for events, in nanoseconds.
    pub(crate) looked: AtomicU64,
    /// A program has put a `time()` of its own in the place of the loop's, as tests do.
    pub(crate) foreign_clock: AtomicBool,
    /// Callbacks run: what they write is sent when they return.
    pub(crate) calling: AtomicBool,
    pub(crate) unsent: Unsent,
    /// Where transports receive into.
    buffer: Gil<Vec<u8>>,
}

impl State {
    pub(crate) fn new(send_late: SendLate) -> io::Result<Self> {
        keep_heap();
        Ok(Self {
            selector: Gil::new(Some(Arc::new(Selector::new()?))),
            ready: Gil::new(VecDeque::with_capacity(256)),
            timers: Gil::default(),
            cancelled_timers: Count::default(),
            descriptors: Gil::default(),
            stopping: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            debug: AtomicBool::new(false),
            sleeping: AtomicBool::new(false),
            looked: AtomicU64::new(0),
            foreign_clock: AtomicBool::new(false),
            calling: AtomicBool::new(false),
            unsent: Unsent::new(send_late),
            buffer: Gil::default(),
        })
    }

    /// Seconds, as `time.monotonic()` has them.
    #[inline(always)]
    pub(crate) fn time() -> f64 {
        platform::nanoseconds() as f64 / 1e9
    }

    /// It is called in the next turn.
    #[inline(always)]
    pub(crate) fn push(&self, py: Python<'_>, handle: Py<PyAny>) {
        self.ready.with(py, |ready| ready.push_back(handle));
    }

    /// Neither closed nor about to be.
    pub(crate) fn is_open(&self) -> bool {
        !self.closed.load(Relaxed)
    }

    pub(crate) fn is_debug(&self) -> bool {
        self.debug.load(Relaxed)
    }

    /// Memory to receive into, which is put back afterwards.
    pub(crate) fn take_buffer(&self, py: Python<'_>) -> Vec<u8> {
        let mut buffer = self.buffer.with(py, std::mem::take);
        buffer.resize(MOST_RECEIVED, 0);
        buffer
    }

    pub(crate) fn put_buffer(&self, py: Python<'_>, buffer: Vec<u8>) {
        self.buffer.with(py, |place| *place = buffer);
    }

    /// The descriptor is a transport's. Handles that were left on its number are cancelled.
    pub(crate) fn adopt(&self, number: RawFd, transport: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = transport.py();
        let (selector, weak) = (self.selector(py)?, weak(transport)?);
        let left = self
            .descriptors
            .with(py, |descriptors| descriptors.adopt(&selector, number, weak));
        let mut handles = left.handles.iter().flatten();
        handles.try_for_each(|handle| cancel(handle.bind(py)))
    }

    /// The descriptor is that transport's no more.
    pub(crate) fn forget(&self, py: Python<'_>, number: RawFd, transport: &Bound<'_, PyAny>) {
        drop(
            self.descriptors
                .with(py, |descriptors| descriptors.forget(number, transport)),
        );
    }

    /// What it waits with. RuntimeError once it is closed.
    pub(crate) fn selector(&self, py: Python<'_>) -> PyResult<Arc<Selector>> {
        let selector = self.selector.with(py, |selector| selector.clone());
        selector.ok_or_else(|| PyRuntimeError::new_err("Event loop is closed"))
    }

    /// Has it wait for what a transport wants. False: it does already, or the loop is closed.
    pub(crate) fn register(
        &self,
        transport: &Bound<'_, PyAny>,
        number: RawFd,
        before: Interest,
        wanted: Interest,
    ) -> PyResult<bool> {
        if before == wanted || !self.is_open() {
            return Ok(false);
        }
        let py = transport.py();
        let selector = self.selector(py)?;
        let told = self.descriptors.with(py, |descriptors| {
            descriptors.want(&selector, number, transport, wanted)
        });
        told.map_err(Failure::Os)?;
        if wanted.readable && !before.readable || wanted.writable && !before.writable {
            self.look_next();
        }
        Ok(true)
    }

    /// From now on it keeps the transport alive, or not.
    pub(crate) fn keep(
        &self,
        transport: &Bound<'_, PyAny>,
        number: RawFd,
        keeps: bool,
    ) -> PyResult<()> {
        let (py, descriptors) = (transport.py(), &self.descriptors);
        if !self.is_open() || descriptors.with(py, |it| it.holds(number, transport)) == keeps {
            return Ok(());
        }
        let dropped = if keeps {
            descriptors.with(py, |it| it.hold(number, transport))
        } else {
            let weak = weak(transport)?;
            descriptors.with(py, |it| it.loosen(number, transport, weak))
        };
        drop(dropped);
        Ok(())
    }

    /// The next turn asks the kernel, however short ago the last one did: a descriptor that is ready when it is registered is told of
    /// then, as on asyncio's own loop, and not behind what later turns call.
    fn look_next(&self) {
        self.looked.store(0, Relaxed);
    }

    /// It waits no more; its descriptors are closed.
    pub(crate) fn close_selector(&self, py: Python<'_>) {
        drop(self.selector.with(py, Option::take));
    }

    /// Ends its wait, if another thread makes something ready.
    #[inline]
    pub(crate) fn wake(&self, py: Python<'_>) {
        if self.sleeping.swap(false, Relaxed)
            && let Ok(selector) = self.selector(py)
        {
            selector.wake();
        }
    }

    /// `handle` is called whenever the descriptor is ready; the one before is cancelled.
    pub(crate) fn watch(
        &self,
        py: Python<'_>,
        number: RawFd,
        way: Way,
        handle: &Bound<'_, PyAny>,
        object: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let (selector, handle) = (self.selector(py)?, handle.clone().unbind());
        let added = self.descriptors.with(py, |descriptors| {
            descriptors.add(&selector, number, way, handle, object)
        });
        self.look_next();
        match added {
            Ok(replaced) => cancel_replaced(py, &replaced).map(drop),
            Err((error, handle)) => {
                drop(handle);
                Err(Failure::Os(error).into())
            }
        }
    }

    /// It is not called any more. Whether there was one.
    pub(crate) fn unwatch(&self, py: Python<'_>, number: RawFd, way: Way) -> PyResult<bool> {
        let selector = self.selector(py)?;
        let replaced = self
            .descriptors
            .with(py, |descriptors| descriptors.remove(&selector, number, way));
        cancel_replaced(py, &replaced)
    }

    /// Throws cancelled timers out: the first ones, or all where there are many.
    pub(crate) fn sweep(&self, py: Python<'_>) -> PyResult<()> {
        let cancelled = self.cancelled_timers.cell(py);
        if cancelled.get() == 0 {
            return Ok(());
        }
        if self
            .timers
            .with(py, |timers| timers.is_littered(cancelled.get()))
        {
            let mut kept = Vec::new();
            for due in self.timers.with(py, Timers::take_all) {
                if is_cancelled(due.handle.bind(py))? {
                    unschedule(due.handle.bind(py))?;
                } else {
                    kept.push(due);
                }
            }
            cancelled.set(0);
            self.timers.with(py, |timers| timers.put_back(kept));
        }
        while let Some(first) = self
            .timers
            .with(py, |timers| timers.first().map(|first| first.clone_ref(py)))
        {
            if !is_cancelled(first.bind(py))? {
                break;
            }
            unschedule(first.bind(py))?;
            cancelled.set(cancelled.get().saturating_sub(1));
            drop(self.timers.with(py, Timers::pop));
        }
        Ok(())
    }

    /// All Python objects, for the end.
    pub(crate) fn take_all(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        let mut objects = Vec::from(self.ready.with(py, std::mem::take));
        let timers = self.timers.with(py, Timers::take_all);
        for due in timers {
            // The count is of those in the heap.
            handle::unschedule(due.handle.bind(py));
            objects.push(due.handle);
        }
        objects.extend(self.unsent.end(py));
        objects.extend(self.descriptors.with(py, Descriptors::take_all));
        objects
    }

    pub(crate) fn visit(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        let each = |object: &Py<PyAny>| visit.call(object);
        let all = [
            self.ready.try_with(|ready| ready.iter().try_for_each(each)),
            self.timers
                .try_with(|timers| timers.each().try_for_each(each)),
            Some(self.unsent.visit(visit)),
            self.descriptors
                .try_with(|descriptors| descriptors.each().try_for_each(each)),
        ];
        all.into_iter().flatten().collect()
    }
}

fn weak(transport: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    Ok(PyWeakrefReference::new(transport)?.into_any().unbind())
}

/// Whether there was one.
fn cancel_replaced(py: Python<'_>, replaced: &Replaced) -> PyResult<bool> {
    let handle = replaced.handle.as_ref();
    handle.map_or(Ok(false), |handle| cancel(handle.bind(py)).map(|()| true))
}

/// Of any kind of handle.
fn cancel(handle: &Bound<'_, PyAny>) -> PyResult<()> {
    if handle::of(handle).is_some() {
        handle::cancel(handle);
        return Ok(());
    }
    handle.method("cancel", ()).map(drop)
}

/// Of any kind of handle.
#[inline]
pub(crate) fn is_cancelled(handle: &Bound<'_, PyAny>) -> PyResult<bool> {
    if handle::of(handle).is_some() {
        return Ok(handle::is_cancelled(handle));
    }
    handle.getattr("_cancelled")?.is_truthy()
}

/// Of any kind of handle.
pub(crate) fn unschedule(handle: &Bound<'_, PyAny>) -> PyResult<()> {
    if handle::of(handle).is_some() {
        handle::unschedule(handle);
        return Ok(());
    }
    handle.setattr("_scheduled", false)
}
