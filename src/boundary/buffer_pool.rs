//! Python objects whose memory the I/O side uses: it has the address, the object stays here.

use crate::boundary::fork::forks;
use crate::boundary::memory;
use crate::boundary::unfilled;
use crate::io::conn::loan::{Loan, Owner, Returns, Room, Rooms};
use crate::io::sync::Mutex;
use crate::io::sys::platform;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::collections::TryReserveError;
use std::ptr::NonNull;
use std::sync::Arc;

/// Size of a room. A 64 KiB message leaves it unfilled, which says without another system call that no more waits.
const ROOM: usize = 128 * 1024;
/// Rooms that wait while large messages come.
const ROOMS: usize = 16;
/// Up to so many objects the table of them is kept.
const KEPT_SLOTS: usize = 256;

/// So many objects, of 16 KiB at least each, are a burst whose memory the process shall not keep.
const MANY: usize = 1024;

/// As much as the allocator keeps in any case (see `io::runtime::driver::keep_heap`).
pub(crate) const KEPT_HEAP: usize = 8 << 20;

/// Kept for its memory.
enum Object {
    /// Being sent.
    Sent(#[allow(dead_code)] Py<PyBytes>),
    /// Not initialised, not yet seen by anybody.
    Room(Py<PyBytes>),
}

#[derive(Default)]
struct Objects {
    slots: Vec<Option<Object>>,
    free: Vec<Owner>,
}

impl Objects {
    /// Room for one more, also for when it is removed.
    fn reserve(&mut self) -> Result<(), TryReserveError> {
        if self.free.is_empty() {
            self.slots.try_reserve(1)?;
            self.free.try_reserve(self.slots.len() + 1)?;
        }
        Ok(())
    }

    fn insert(&mut self, object: Object) -> Owner {
        if let Some(owner) = self.free.pop() {
            // What is free was a slot before.
            self.slots[owner as usize] = Some(object);
            return owner;
        }
        self.slots.push(Some(object));
        // As many objects do not fit into memory.
        (self.slots.len() - 1) as Owner
    }

    fn remove(&mut self, owner: Owner) -> Option<Object> {
        let object = self.slots.get_mut(owner as usize)?.take()?;
        self.free.push(owner);
        Some(object)
    }

    /// The table that a burst made large, once nothing is in it. Kept in the middle of the heap that the burst took, it
    /// would keep the allocator from giving that back.
    fn take_if_unused(&mut self) -> Option<Self> {
        let unused = self.slots.len() > KEPT_SLOTS && self.free.len() == self.slots.len();
        unused.then(|| std::mem::take(self))
    }
}

/// The objects of one loop. Used with the interpreter's lock held; no object is made or dropped under its own lock.
pub struct BufferPool {
    objects: Mutex<Objects>,
    returns: Arc<Returns>,
    /// [`forks`] when it was made.
    forks: u32,
}

impl BufferPool {
    /// What is sent comes back through `returns`.
    pub fn new(returns: Arc<Returns>) -> Self {
        Self {
            objects: Mutex::new(Objects::default()),
            returns,
            forks: forks(),
        }
    }

    /// Lends `part` of `object`, to be sent. MemoryError where there is none to note that.
    pub fn lend(&self, object: &Bound<'_, PyBytes>, part: &[u8]) -> PyResult<Loan> {
        let kept = Object::Sent(object.clone().unbind());
        let owner = self.insert(kept)?;
        // SAFETY: `part` is of `object`, whose bytes never change or move, and which is kept until the owner is returned.
        Ok(unsafe { Loan::new(part, owner, self.returns.clone()) })
    }

    fn insert(&self, object: Object) -> PyResult<Owner> {
        let mut objects = self.objects.lock();
        match objects.reserve() {
            Ok(()) => Ok(objects.insert(object)),
            Err(error) => {
                drop(objects);
                Err(memory::error(error))
            }
        }
    }

    /// Whether [`BufferPool::drop_returned`] has something to do.
    pub fn has_returns(&self) -> bool {
        !self.returns.is_empty()
    }

    /// Lets go of the objects that were sent.
    pub fn drop_returned(&self) {
        if !self.has_returns() {
            return;
        }
        let owners = self.returns.take();
        let (gone, table): (Vec<_>, _) = {
            let mut objects = self.objects.lock();
            let gone = owners
                .into_iter()
                .map(|owner| objects.remove(owner))
                .collect();
            (gone, objects.take_if_unused())
        };
        let many = gone.len() > MANY;
        drop(gone);
        // Last, so that all below it is free by then.
        drop(table);
        if many {
            platform::give_heap_back(KEPT_HEAP);
        }
    }

    /// Lends room for the next large messages, once there were some. Without memory for it they are copied.
    pub fn furnish(&self, py: Python<'_>, rooms: &Rooms) {
        for _ in 0..rooms.missing(ROOMS) {
            let Ok(room) = self.room(py) else {
                break;
            };
            rooms.add([room]);
        }
    }

    fn room(&self, py: Python<'_>) -> PyResult<Room> {
        let object = unfilled::make(py, ROOM)?;
        let start = NonNull::new(unfilled::start(&object)).ok_or_else(|| PyErr::fetch(py))?;
        let owner = self.insert(Object::Room(object.unbind()))?;
        // SAFETY: the object is as long and is kept, unseen by anybody, until the room comes back in an event.
        Ok(unsafe { Room::new(start, ROOM, owner) })
    }

    /// The object of a room, with the `count` bytes that were received into it.
    pub fn received<'py>(
        &self,
        py: Python<'py>,
        owner: Owner,
        count: usize,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let object = self.objects.lock().remove(owner);
        let Some(Object::Room(object)) = object else {
            return Ok(None);
        };
        let object = object.into_bound(py);
        if count == ROOM {
            return Ok(Some(object));
        }
        unfilled::filled(object, count).map(Some)
    }

    /// The loop has ended. `unused`: nobody can be filling a room any more.
    pub fn close(&self, unused: bool) {
        self.drop_returned();
        if !unused {
            return;
        }
        let rooms: Vec<_> = {
            let mut objects = self.objects.lock();
            let slots = objects.slots.iter_mut();
            slots
                .filter_map(|slot| slot.take_if(|object| matches!(object, Object::Room(_))))
                .collect()
        };
        drop(rooms);
    }
}

impl Drop for BufferPool {
    fn drop(&mut self) {
        if self.forks != forks() {
            // The parent's: a thread that this child has not may have held the locks.
            std::mem::forget(std::mem::take(&mut self.objects));
            return;
        }
        self.drop_returned();
        // What is not back may still be used by a thread of the runtime that did not end in time: kept for ever.
        for object in self.objects.lock().slots.drain(..) {
            std::mem::forget(object);
        }
    }
}
