//! What each key of a loop names: the Python object that the events of that key are for.

use crate::io::keys::Key;
use crate::io::sync::Mutex;
use pyo3::prelude::*;

#[derive(Default)]
struct Slot {
    generation: u32,
    object: Option<Py<PyAny>>,
    /// Its task has ended; the key is free once the object is gone as well.
    gone: bool,
}

#[derive(Default)]
struct Slots {
    all: Vec<Slot>,
    used: usize,
}

impl Slots {
    fn find(&mut self, key: Key) -> Option<&mut Slot> {
        self.all
            .get_mut(key.index as usize)
            .filter(|slot| slot.generation == key.generation)
    }
}

/// What became of a key.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub enum Freed {
    /// Nothing has it any more: it may be given away.
    Yes,
    /// Its task or its object has it still.
    No,
}

/// One per loop. No object is made, called or dropped under its lock.
#[derive(Default)]
pub struct Table(Mutex<Slots>);

impl Table {
    /// Gives `key` to an object.
    pub fn insert(&self, key: Key, object: Py<PyAny>) {
        let mut slots = self.0.lock();
        let index = key.index as usize;
        if slots.all.len() <= index {
            slots.all.resize_with(index + 1, Slot::default);
        }
        slots.used += 1;
        slots.all[index] = Slot {
            generation: key.generation,
            object: Some(object),
            gone: false,
        };
    }

    /// The object of `key`, unless it is gone.
    #[inline(always)]
    pub fn get<'py>(&self, py: Python<'py>, key: Key) -> Option<Bound<'py, PyAny>> {
        let mut slots = self.0.lock();
        let object = slots.find(key)?.object.as_ref()?;
        Some(object.bind(py).clone())
    }

    /// Takes the object of `key` out; the caller drops it.
    pub fn remove(&self, key: Key) -> Option<(Py<PyAny>, Freed)> {
        let mut slots = self.0.lock();
        let slot = slots.find(key)?;
        let object = slot.object.take()?;
        let freed = if slot.gone { Freed::Yes } else { Freed::No };
        slots.used -= 1;
        Some((object, freed))
    }

    /// The task of `key` has ended.
    pub fn task_ended(&self, key: Key) -> Freed {
        let mut slots = self.0.lock();
        match slots.find(key).filter(|slot| slot.object.is_some()) {
            Some(slot) => {
                slot.gone = true;
                Freed::No
            }
            None => Freed::Yes,
        }
    }

    /// How many objects are in it.
    pub fn len(&self) -> usize {
        self.0.lock().used
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.lock().used == 0
    }

    /// Shows all objects. Under the lock: nothing of Python's may be called.
    pub fn each(&self, py: Python<'_>, mut show: impl FnMut(&Bound<'_, PyAny>)) {
        let slots = self.0.lock();
        for object in slots.all.iter().filter_map(|slot| slot.object.as_ref()) {
            show(object.bind(py));
        }
    }

    /// Empties it, when the loop ends.
    pub fn take_all(&self) -> Vec<Py<PyAny>> {
        let mut slots = self.0.lock();
        slots.used = 0;
        slots.all.drain(..).filter_map(|slot| slot.object).collect()
    }

    /// For Python's garbage collector: no lock is waited for.
    pub fn visit(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        match self.0.try_lock() {
            Some(slots) => slots
                .all
                .iter()
                .try_for_each(|slot| visit.call(&slot.object)),
            None => Ok(()),
        }
    }
}
