//! Memory that the pump side lends: bytes to be sent, and room for bytes to be received. It saves the copies of large
//! messages.
//!
//! The objects that own the memory stay on the pump side, named by a number. What was sent comes back as that number
//! through [`Returns`]; room that was filled goes to the pump in an event, the rest waits in [`Rooms`].

use crate::io::sync::{AtomicBool, AtomicUsize, Mutex, Ordering};
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::Arc;

/// Names the object that owns lent memory.
pub type Owner = u32;

/// Reads of this many bytes and more are worth a room for the next one, writes of as many are worth not to be copied.
pub const LARGE: usize = 16 * 1024;

/// Bytes of an immutable object, to be sent.
#[derive(Debug)]
pub struct Loan {
    start: NonNull<u8>,
    len: usize,
    owner: Owner,
    returns: Arc<Returns>,
}

// SAFETY: the bytes do not change and live until the loan is dropped (`Loan::new`), on whichever thread. Copying them
// instead cost a 64 KiB echo a quarter of its time.
unsafe impl Send for Loan {}
// SAFETY: as above; a shared loan only reads.
unsafe impl Sync for Loan {}

impl Loan {
    /// Lends `bytes` of `owner`.
    ///
    /// # Safety
    ///
    /// The bytes must stay as they are, and where they are, until `owner` was put into `returns`.
    pub unsafe fn new(bytes: &[u8], owner: Owner, returns: Arc<Returns>) -> Self {
        Self {
            start: NonNull::from(bytes).cast(),
            len: bytes.len(),
            owner,
            returns,
        }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: they live as long as this loan, says `Loan::new`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.returns.put(self.owner);
    }
}

/// Owners whose loans are over, for the pump side to let go.
#[derive(Debug, Default)]
pub struct Returns {
    /// Leaf lock.
    owners: Mutex<Vec<Owner>>,
    /// There are some. Set under the lock.
    any: AtomicBool,
}

impl Returns {
    fn put(&self, owner: Owner) {
        let mut owners = self.owners.lock();
        if owners.try_reserve(1).is_err() {
            // There is no memory to say so: the object is kept for ever.
            return;
        }
        owners.push(owner);
        self.any.store(true, Ordering::Release);
    }

    /// Takes all.
    pub fn take(&self) -> Vec<Owner> {
        let mut owners = self.owners.lock();
        self.any.store(false, Ordering::Release);
        std::mem::take(&mut owners)
    }

    /// Whether none wait.
    pub fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Acquire)
    }
}

/// Room for received bytes.
#[derive(Debug)]
pub struct Room {
    start: NonNull<u8>,
    len: usize,
    owner: Owner,
}

// SAFETY: whoever holds the room is the only one that touches its memory (`Room::new`).
unsafe impl Send for Room {}

impl Room {
    /// Lends `len` bytes from `start` on, which belong to `owner`.
    ///
    /// # Safety
    ///
    /// The memory must be writable, and nobody else may touch it, until the room was dropped or `owner` came back in an
    /// event.
    pub unsafe fn new(start: NonNull<u8>, len: usize, owner: Owner) -> Self {
        Self { start, len, owner }
    }

    /// Whose it is.
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// Where received bytes may be put: `most` of them.
    pub fn space(&mut self, most: usize) -> &mut [MaybeUninit<u8>] {
        // SAFETY: the memory is ours alone and as long as said, by `Room::new`; it need not be initialised.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr().cast(), self.len.min(most)) }
    }

    /// The first `count` bytes, after a system call has put as many into [`Room::space`].
    ///
    /// # Safety
    ///
    /// They must have been written.
    pub unsafe fn filled(&self, count: usize) -> &[u8] {
        // SAFETY: written, says the caller; ours alone, says `Room::new`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), count.min(self.len)) }
    }
}

/// Rooms that wait to be used, kept up by the pump once they are wanted.
#[derive(Debug)]
pub struct Rooms {
    /// None once the loop has ended. Leaf lock.
    free: Mutex<Option<Vec<Room>>>,
    /// Taken, and neither put back nor in an event.
    taken: AtomicUsize,
    wanted: AtomicBool,
}

impl Default for Rooms {
    fn default() -> Self {
        Self {
            free: Mutex::new(Some(Vec::new())),
            taken: AtomicUsize::new(0),
            wanted: AtomicBool::new(false),
        }
    }
}

impl Rooms {
    /// A room to be filled now: put it back, or say [`Rooms::told`] with the event that tells of it.
    pub fn take(&self) -> Option<Room> {
        self.taken.fetch_add(1, Ordering::SeqCst);
        let room = self.free.lock().as_mut().and_then(Vec::pop);
        if room.is_none() {
            self.taken.fetch_sub(1, Ordering::SeqCst);
            self.wanted.store(true, Ordering::Relaxed);
        }
        room
    }

    /// It was not filled.
    pub fn put(&self, room: Room) {
        self.add([room]);
        self.taken.fetch_sub(1, Ordering::SeqCst);
    }

    /// It was filled, and the event that says so is queued.
    pub fn told(&self, _room: Room) {
        self.wanted.store(true, Ordering::Relaxed);
        self.taken.fetch_sub(1, Ordering::SeqCst);
    }

    /// How many the pump should add, so that `enough` are there. 0 as long as none was wanted.
    pub fn missing(&self, enough: usize) -> usize {
        if !self.wanted.load(Ordering::Relaxed) {
            return 0;
        }
        self.wanted.store(false, Ordering::Relaxed);
        let free = self.free.lock();
        free.as_ref()
            .map_or(0, |free| enough.saturating_sub(free.len()))
    }

    /// Adds rooms; none once the loop has ended.
    pub fn add(&self, rooms: impl IntoIterator<Item = Room>) {
        if let Some(free) = self.free.lock().as_mut() {
            free.extend(rooms);
        }
    }

    /// The loop has ended, and no room is to be had any more: whether nobody is filling one now, so that their owners may
    /// go.
    pub fn close(&self) -> bool {
        let free = self.free.lock().take();
        drop(free);
        self.taken.load(Ordering::SeqCst) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loan(bytes: &'static [u8], owner: Owner, returns: &Arc<Returns>) -> Loan {
        // SAFETY: static bytes stay.
        unsafe { Loan::new(bytes, owner, returns.clone()) }
    }

    fn room(memory: &mut Vec<u8>, owner: Owner) -> Room {
        // SAFETY: the test's memory lives longer and is not touched otherwise.
        unsafe {
            Room::new(
                NonNull::new(memory.as_mut_ptr()).unwrap(),
                memory.len(),
                owner,
            )
        }
    }

    #[test]
    fn a_dropped_loan_gives_its_owner_back_once() {
        let returns = Arc::new(Returns::default());
        let (one, two) = (loan(b"one", 1, &returns), loan(b"two", 2, &returns));
        assert_eq!((one.bytes(), two.bytes()), (&b"one"[..], &b"two"[..]));
        assert!(returns.is_empty());
        drop(two);
        drop(one);
        assert_eq!(returns.take(), [2, 1]);
        assert!(returns.is_empty());
    }

    #[test]
    fn rooms_are_missing_once_they_were_wanted() {
        let rooms = Rooms::default();
        assert_eq!(rooms.missing(3), 0);
        assert!(rooms.take().is_none());
        assert_eq!((rooms.missing(3), rooms.missing(3)), (3, 0));
        let mut memory = vec![0; 8];
        rooms.add([room(&mut memory, 7)]);
        let taken = rooms.take().unwrap();
        assert_eq!(taken.owner(), 7);
        rooms.told(taken);
        assert_eq!(rooms.missing(3), 3);
    }

    #[test]
    fn a_room_holds_what_was_put_into_it() {
        let mut memory = vec![0; 8];
        let mut room = room(&mut memory, 7);
        assert_eq!((room.space(100).len(), room.space(3).len()), (8, 3));
        for (place, byte) in room.space(3).iter_mut().zip(b"abc") {
            place.write(*byte);
        }
        // SAFETY: written above.
        assert_eq!(unsafe { room.filled(3) }, b"abc");
    }

    #[test]
    fn a_room_that_is_out_keeps_the_owners() {
        let rooms = Rooms::default();
        let mut memory = vec![0; 8];
        rooms.add([room(&mut memory, 7)]);
        let taken = rooms.take().unwrap();
        assert!(!rooms.close());
        rooms.put(taken);
        assert!(rooms.close());
    }
}
