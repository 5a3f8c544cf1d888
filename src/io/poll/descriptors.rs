//! The descriptors that one loop's pollers watch.

use crate::io::failure::Failure;
use crate::io::keys::Key;
use crate::io::sync::Mutex;
use crate::io::sys::interest::Interest;
use crate::io::sys::platform::oneshot::{OneShots, is_ready};
use crate::io::sys::platform::{self, RawFd, c};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::task::Waker;

/// Who watches a number, and which file it was then.
#[derive(Clone, Copy)]
struct Descriptor {
    key: Key,
    file: (u64, u64),
}

#[derive(Default)]
struct State {
    /// None until the first is watched.
    shots: Option<Arc<OneShots>>,
    watched: HashMap<RawFd, Descriptor>,
    /// Of the task, while it does not look for closed ones as there is none.
    looker: Option<Waker>,
}

/// One for each loop. What changes it has the interpreter's lock; the task only takes out what is closed.
#[derive(Default)]
pub struct Descriptors {
    /// Leaf lock.
    state: Mutex<State>,
}

/// What is to be done after one was added.
pub(super) struct Added {
    /// A new epoll, which nobody waits for yet.
    pub(super) begun: Option<Arc<OneShots>>,
    /// Whose the number was before; it was closed since.
    pub(super) before: Option<Key>,
    /// To be woken.
    pub(super) looker: Option<Waker>,
}

/// A key as the kernel keeps it.
pub(super) fn name(key: Key) -> u64 {
    u64::from(key.generation) << 32 | u64::from(key.index)
}

/// [`name`], back.
pub(super) fn key(name: u64) -> Key {
    Key {
        index: name as u32,
        generation: (name >> 32) as u32,
    }
}

impl Descriptors {
    /// Begins to watch: it is told when it is ready, once until [`Descriptors::again`].
    pub(super) fn add(&self, key: Key, number: RawFd, what: Interest) -> Result<Added, Failure> {
        let unfit = |code, text: &str| Failure::Unfit(code, format!("descriptor {number} {text}"));
        let file = platform::file_of(number).ok_or_else(|| unfit(c::EBADF, "is not open"))?;
        let (shots, is_new) = self.shots()?;
        match shots.add(number, name(key), what) {
            Ok(()) => {}
            Err(error) => match error.raw_os_error() {
                Some(c::EPERM) => {
                    let text = "cannot be polled: regular files and folders are always ready";
                    return Err(unfit(c::EPERM, text));
                }
                Some(c::EEXIST) if self.is_watched(number) => {
                    let text =
                        "is polled already: free that poller first, or poll for both at once";
                    return Err(unfit(c::EEXIST, text));
                }
                // Of a poller that was freed when the number was closed, and the file was not.
                Some(c::EEXIST) => shots.again(number, name(key), what)?,
                _ => return Err(error.into()),
            },
        }
        let mut state = self.state.lock();
        let begun = is_new && state.shots.is_none();
        let begun = begun.then(|| state.shots.insert(shots).clone());
        let before = state.watched.insert(number, Descriptor { key, file });
        Ok(Added {
            begun,
            before: before.map(|before| before.key),
            looker: state.looker.take(),
        })
    }

    /// The epoll; true: a new one, which nobody waits for yet.
    fn shots(&self) -> io::Result<(Arc<OneShots>, bool)> {
        if let Some(shots) = &self.state.lock().shots {
            return Ok((shots.clone(), false));
        }
        Ok((Arc::new(OneShots::new()?), true))
    }

    fn is_watched(&self, number: RawFd) -> bool {
        self.state.lock().watched.contains_key(&number)
    }

    /// The epoll, if the number is watched for `key`.
    fn shots_for(&self, key: Key, number: RawFd) -> Option<Arc<OneShots>> {
        let state = self.state.lock();
        let watched = state.watched.get(&number)?;
        (watched.key == key).then(|| state.shots.clone())?
    }

    /// Has it told again; an error: it was closed.
    pub fn again(&self, key: Key, number: RawFd, what: Interest) -> Result<(), Failure> {
        let shots = self.shots_for(key, number);
        let told = shots.map(|shots| shots.again(number, name(key), what));
        match told {
            Some(Ok(())) => Ok(()),
            Some(Err(error))
                if !matches!(error.raw_os_error(), Some(c::ENOENT | c::EBADF | c::EPERM)) =>
            {
                Err(error.into())
            }
            _ => Err(closed(number)),
        }
    }

    /// Whether it is ready now; an error: it was closed.
    pub fn is_ready(&self, key: Key, number: RawFd, what: Interest) -> Result<bool, Failure> {
        match self.shots_for(key, number) {
            Some(_) => is_ready(number, what).map_err(|_| closed(number)),
            None => Err(closed(number)),
        }
    }

    /// Watches it no more.
    pub fn forget(&self, key: Key, number: RawFd) {
        if let Some(shots) = self.shots_for(key, number) {
            self.state.lock().watched.remove(&number);
            shots.remove(number);
        }
    }

    /// Takes out those that were closed. None: there is nothing left to look for, and `looker` is woken when there is.
    pub(super) fn take_closed(&self, looker: &Waker) -> Option<Vec<(Key, Failure)>> {
        let all: Vec<_> = {
            let mut state = self.state.lock();
            if state.watched.is_empty() {
                state.looker = Some(looker.clone());
                return None;
            }
            let watched = state.watched.iter();
            watched
                .map(|(number, watched)| (*number, *watched))
                .collect()
        };
        let gone = |number, watched: Descriptor| platform::file_of(number) != Some(watched.file);
        let gone = all.into_iter().filter(|(number, it)| gone(*number, *it));
        Some(
            gone.filter_map(|(number, it)| self.take_if(number, it.key))
                .collect(),
        )
    }

    fn take_if(&self, number: RawFd, key: Key) -> Option<(Key, Failure)> {
        let mut state = self.state.lock();
        state.watched.get(&number).filter(|it| it.key == key)?;
        state.watched.remove(&number);
        Some((key, closed(number)))
    }

    /// Nothing can be told any more: whom that concerns. The next one begins anew.
    pub(super) fn take_all(&self) -> Vec<Key> {
        let state = std::mem::take(&mut *self.state.lock());
        state.watched.values().map(|watched| watched.key).collect()
    }

    /// The loop has ended.
    pub(crate) fn clear(&self) {
        let state = std::mem::take(&mut *self.state.lock());
        drop(state);
    }
}

/// Why one is watched no more.
pub fn closed(number: RawFd) -> Failure {
    Failure::Unfit(
        c::EBADF,
        format!("descriptor {number} was closed while it was polled"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_from_the_kernel_as_it_was() {
        let before = Key {
            index: u32::MAX,
            generation: 7,
        };
        assert_eq!(key(name(before)), before);
    }
}
