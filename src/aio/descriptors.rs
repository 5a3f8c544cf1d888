//! What is to be called when a descriptor is ready.

use crate::io::sys::platform::RawFd;
use crate::io::sys::platform::epoll::{Interest, Selector};
use pyo3::prelude::*;
use pyo3::types::{PyWeakrefMethods, PyWeakrefReference};
use std::io;

/// Which of the two calls of a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Read,
    Write,
}

/// What one descriptor has.
#[derive(Default)]
struct Descriptor {
    reader: Option<Py<PyAny>>,
    writer: Option<Py<PyAny>>,
    /// The owning transport: a strong reference while it waits for something (`is_held`), else a weak one, so that an idle,
    /// unreferenced transport is collected.
    transport: Option<Py<PyAny>>,
    is_held: bool,
    /// What the transport waits for, beside what the handles do.
    own: Interest,
    /// Somebody else may watch the descriptor, too, for a while.
    is_lent: bool,
    /// As the selector knows it: what the handles and the transport wait for.
    registered: Interest,
    /// What it was registered by, where that was no number: it can be taken out by it after it was closed.
    object: Option<Py<PyAny>>,
}

/// By number. Python objects that are taken out are returned, for whoever has the table may not drop them.
#[derive(Default)]
pub(crate) struct Descriptors {
    watched: Vec<Descriptor>,
}

/// What was there before.
#[derive(Default)]
pub(crate) struct Replaced {
    pub(crate) handle: Option<Py<PyAny>>,
    #[allow(dead_code, reason = "dropped by whoever may run Python code")]
    object: Option<Py<PyAny>>,
}

/// What a number had when a transport adopted it: of who had it before, and what its handles waited for.
#[derive(Default)]
pub(crate) struct Left {
    pub(crate) handles: [Option<Py<PyAny>>; 2],
    #[allow(dead_code, reason = "dropped by whoever may run Python code")]
    others: [Option<Py<PyAny>>; 2],
}

impl Descriptor {
    fn is_called(&self) -> bool {
        self.reader.is_some() || self.writer.is_some()
    }

    /// What the handles and the transport wait for.
    fn wanted(&self) -> Interest {
        Interest {
            readable: self.reader.is_some() || self.own.readable,
            writable: self.writer.is_some() || self.own.writable,
        }
    }

    /// The selector is told. What it knows may be of a descriptor that was closed since, so it is told also of what is no news.
    fn register(&mut self, selector: &Selector, number: RawFd) -> io::Result<()> {
        let wanted = self.wanted();
        selector.change(number, self.registered, wanted)?;
        self.registered = wanted;
        Ok(())
    }

    /// The transport, if it is alive.
    fn owner<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let object = self.transport.as_ref()?.bind(py);
        if self.is_held {
            return Some(object.clone());
        }
        object.cast::<PyWeakrefReference>().ok()?.upgrade()
    }

    fn set(&mut self, object: Py<PyAny>, is_held: bool) -> Option<Py<PyAny>> {
        self.is_held = is_held;
        self.transport.replace(object)
    }

    fn place(&mut self, way: Way) -> &mut Option<Py<PyAny>> {
        match way {
            Way::Read => &mut self.reader,
            Way::Write => &mut self.writer,
        }
    }
}

impl Descriptors {
    /// What the descriptor has, or will have; None: no descriptor has that number.
    fn place(&mut self, number: RawFd) -> Option<&mut Descriptor> {
        let index = usize::try_from(number).ok()?;
        if self.watched.len() <= index {
            self.watched.resize_with(index + 1, Descriptor::default);
        }
        Some(&mut self.watched[index])
    }

    /// From now on `handle` is called when the descriptor is ready; nothing changes where that cannot be.
    pub(crate) fn add(
        &mut self,
        selector: &Selector,
        number: RawFd,
        way: Way,
        handle: Py<PyAny>,
        object: Option<Py<PyAny>>,
    ) -> Result<Replaced, (io::Error, Py<PyAny>)> {
        let known = usize::try_from(number).map(|index| self.watched.get(index));
        let known = known.ok().flatten();
        let before = known.map_or(Interest::NONE, |watched| watched.registered);
        let mut wanted = known.map_or(Interest::NONE, Descriptor::wanted);
        match way {
            Way::Read => wanted.readable = true,
            Way::Write => wanted.writable = true,
        }
        // Before there is a place for it: what is no descriptor may be any number, and the table is as long as the highest.
        if let Err(error) = selector.change(number, before, wanted) {
            return Err((error, handle));
        }
        let Some(watched) = self.place(number) else {
            return Err((io::ErrorKind::InvalidInput.into(), handle));
        };
        watched.registered = wanted;
        Ok(Replaced {
            handle: watched.place(way).replace(handle),
            object: match object {
                Some(object) => watched.object.replace(object),
                None => None,
            },
        })
    }

    /// Nothing is called any more.
    pub(crate) fn remove(&mut self, selector: &Selector, number: RawFd, way: Way) -> Replaced {
        let watched = usize::try_from(number)
            .ok()
            .and_then(|index| self.watched.get_mut(index));
        let Some(watched) = watched else {
            return Replaced::default();
        };
        let handle = watched.place(way).take();
        if handle.is_none() {
            return Replaced::default();
        }
        // What it fails for is that the descriptor is gone, and so is its registration.
        let _ = watched.register(selector, number);
        let object = match watched.is_called() {
            true => None,
            false => watched.object.take(),
        };
        Replaced { handle, object }
    }

    /// What is called when it is ready.
    pub(crate) fn get(&self, number: RawFd, way: Way) -> Option<&Py<PyAny>> {
        let watched = self.watched.get(usize::try_from(number).ok()?)?;
        match way {
            Way::Read => watched.reader.as_ref(),
            Way::Write => watched.writer.as_ref(),
        }
    }

    /// It is a transport's from now on, a weak reference to which is given; of what has watched it before nothing is called any more.
    pub(crate) fn adopt(&mut self, selector: &Selector, number: RawFd, weak: Py<PyAny>) -> Left {
        let Some(watched) = self.place(number) else {
            return Left::default();
        };
        let before = std::mem::replace(
            watched,
            Descriptor {
                transport: Some(weak),
                registered: watched.registered,
                ..Descriptor::default()
            },
        );
        if before.registered != Interest::NONE {
            // What it fails for is that the descriptor is gone, and so is its registration.
            let _ = watched.register(selector, number);
        }
        Left {
            handles: [before.reader, before.writer],
            others: [before.transport, before.object],
        }
    }

    /// The transport waits for that from now on. EBADF: the number is another's by now, for the socket was closed behind it.
    pub(crate) fn want(
        &mut self,
        selector: &Selector,
        number: RawFd,
        transport: &Bound<'_, PyAny>,
        wanted: Interest,
    ) -> io::Result<()> {
        let owner = self.transport(transport.py(), number);
        let is_its = owner.is_none_or(|owner| owner.is(transport));
        let Some(watched) = self.place(number).filter(|_| is_its) else {
            return match wanted {
                Interest::NONE => Ok(()),
                _ => Err(io::Error::from_raw_os_error(libc::EBADF)),
            };
        };
        let before = std::mem::replace(&mut watched.own, wanted);
        let told = watched.register(selector, number);
        if told.is_err() {
            watched.own = before;
        }
        told
    }

    /// Whether it keeps that transport alive.
    pub(crate) fn holds(&self, number: RawFd, transport: &Bound<'_, PyAny>) -> bool {
        let watched = usize::try_from(number).map(|index| self.watched.get(index));
        let watched = watched.ok().flatten().filter(|watched| watched.is_held);
        let its = watched.and_then(|watched| watched.transport.as_ref());
        its.is_some_and(|its| its.is(transport))
    }

    /// The transport waits for something, unless the number is another's by now.
    pub(crate) fn hold(
        &mut self,
        number: RawFd,
        transport: &Bound<'_, PyAny>,
    ) -> Option<Py<PyAny>> {
        let watched = self.place(number)?;
        let owner = watched.owner(transport.py());
        match owner.is_none_or(|owner| owner.is(transport)) {
            true => watched.set(transport.clone().unbind(), true),
            false => None,
        }
    }

    /// The transport waits for nothing any more; `weak` refers to it.
    pub(crate) fn loosen(
        &mut self,
        number: RawFd,
        transport: &Bound<'_, PyAny>,
        weak: Py<PyAny>,
    ) -> Option<Py<PyAny>> {
        match self.place_of(number, transport) {
            Some(watched) => watched.set(weak, false),
            None => Some(weak),
        }
    }

    /// It is that transport's no more.
    pub(crate) fn forget(
        &mut self,
        number: RawFd,
        transport: &Bound<'_, PyAny>,
    ) -> Option<Py<PyAny>> {
        self.place_of(number, transport)?.transport.take()
    }

    /// Somebody else may watch it, too; or not any more.
    pub(crate) fn lend(&mut self, number: RawFd, transport: &Bound<'_, PyAny>, is_lent: bool) {
        if let Some(watched) = self.place_of(number, transport) {
            watched.is_lent = is_lent;
        }
    }

    /// Where it is that transport's.
    fn place_of(&mut self, number: RawFd, transport: &Bound<'_, PyAny>) -> Option<&mut Descriptor> {
        let watched = self.watched.get_mut(usize::try_from(number).ok()?)?;
        let owner = watched.owner(transport.py())?;
        owner.is(transport).then_some(watched)
    }

    /// Whose it is.
    pub(crate) fn transport<'py>(
        &self,
        py: Python<'py>,
        number: RawFd,
    ) -> Option<Bound<'py, PyAny>> {
        self.watched.get(usize::try_from(number).ok()?)?.owner(py)
    }

    /// Whose it is, and nobody else may watch it.
    pub(crate) fn exclusive<'py>(
        &self,
        py: Python<'py>,
        number: RawFd,
    ) -> Option<Bound<'py, PyAny>> {
        let watched = self.watched.get(usize::try_from(number).ok()?)?;
        watched.owner(py).filter(|_| !watched.is_lent)
    }

    pub(crate) fn transports<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyAny>> {
        let owners = self.watched.iter().map(|watched| watched.owner(py));
        owners.flatten().collect()
    }

    /// Whether something is called when it is ready.
    pub(crate) fn is_called(&self, number: RawFd) -> bool {
        self.get(number, Way::Read).is_some() || self.get(number, Way::Write).is_some()
    }

    /// The number that an object was registered with.
    pub(crate) fn number_of(&self, object: &Bound<'_, PyAny>) -> Option<RawFd> {
        let is_it = |watched: &Descriptor| watched.object.as_ref().is_some_and(|it| it.is(object));
        RawFd::try_from(self.watched.iter().position(is_it)?).ok()
    }

    /// All objects, for the end.
    pub(crate) fn take_all(&mut self) -> Vec<Py<PyAny>> {
        let watched = std::mem::take(&mut self.watched);
        let objects = |watched: Descriptor| {
            [
                watched.reader,
                watched.writer,
                watched.transport,
                watched.object,
            ]
        };
        watched.into_iter().flat_map(objects).flatten().collect()
    }

    pub(crate) fn each(&self) -> impl Iterator<Item = &Py<PyAny>> {
        self.watched.iter().flat_map(|watched| {
            watched
                .reader
                .iter()
                .chain(&watched.writer)
                .chain(&watched.transport)
                .chain(&watched.object)
        })
    }
}
