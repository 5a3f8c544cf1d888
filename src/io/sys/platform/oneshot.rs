//! Readiness of any descriptor, told once until it is asked for again, by an epoll of its own that Tokio watches.
//!
//! Of its own, for a descriptor may be in Tokio's already. Told once, or what Python does not take would be told for ever.

use crate::io::sys::interest::Interest;
use crate::io::sys::platform::epoll::{flags, interest};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::unix::AsyncFd;

/// So many are taken at once.
const MOST: usize = 256;

/// The epoll.
pub(crate) struct OneShots(OwnedFd);

impl AsRawFd for OneShots {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl OneShots {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(epoll::create(epoll::CreateFlags::CLOEXEC)?))
    }

    /// Has it told, by `name`, that the descriptor is ready. EEXIST: it is known already.
    pub(crate) fn add(&self, number: RawFd, name: u64, what: Interest) -> io::Result<()> {
        let (data, flags) = (EventData::new_u64(name), flags(what) | EventFlags::ONESHOT);
        Ok(epoll::add(&self.0, borrow(number)?, data, flags)?)
    }

    /// Has it told again. ENOENT, EBADF: it was closed.
    pub(crate) fn again(&self, number: RawFd, name: u64, what: Interest) -> io::Result<()> {
        let (data, flags) = (EventData::new_u64(name), flags(what) | EventFlags::ONESHOT);
        Ok(epoll::modify(&self.0, borrow(number)?, data, flags)?)
    }

    /// Nothing of it is told any more.
    pub(crate) fn remove(&self, number: RawFd) {
        if let Ok(descriptor) = borrow(number) {
            // What it fails for is that the descriptor was closed, and with that taken out.
            let _ = epoll::delete(&self.0, descriptor);
        }
    }
}

fn borrow<'a>(number: RawFd) -> io::Result<BorrowedFd<'a>> {
    if number < 0 {
        return Err(Errno::BADF.into());
    }
    // SAFETY: it is used for the length of one call; it is the app's, and the kernel checks whether it is open.
    Ok(unsafe { BorrowedFd::borrow_raw(number) })
}

/// What the descriptor is ready for now. EBADF: it was closed.
pub(crate) fn is_ready(number: RawFd, what: Interest) -> io::Result<bool> {
    let mut wanted = PollFlags::empty();
    wanted.set(PollFlags::IN, what.readable);
    wanted.set(PollFlags::OUT, what.writable);
    let mut polled = [PollFd::from_borrowed_fd(borrow(number)?, wanted)];
    poll(&mut polled, Some(&Timespec::default()))?;
    match polled[0].revents() {
        told if told.contains(PollFlags::NVAL) => Err(Errno::BADF.into()),
        told => Ok(!told.is_empty()),
    }
}

/// Tokio waits for them.
pub(crate) struct Waiting {
    watched: AsyncFd<Arc<OneShots>>,
    events: Vec<epoll::Event>,
}

// SAFETY: what an event carries is a number; that it could be an address makes it unfit to be sent.
unsafe impl Send for Waiting {}

impl Waiting {
    /// In the runtime's context.
    pub(crate) fn new(all: Arc<OneShots>) -> io::Result<Self> {
        // SAFETY: it owns its descriptor, which stays the same until it is dropped, and `AsyncFd` stops watching before it lets go of
        // it. The safe call needs a type of its own for the same.
        let watched =
            unsafe { AsyncFd::register_with_interest(all, tokio::io::Interest::READABLE) }?;
        Ok(Self {
            watched,
            events: Vec::with_capacity(MOST),
        })
    }

    /// Tells, by name, what is ready.
    pub(crate) fn poll(
        &mut self,
        context: &mut Context<'_>,
        mut tell: impl FnMut(u64, Interest),
    ) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.watched.poll_read_ready(context))?;
            self.events.clear();
            let taken = epoll::wait(
                &self.watched.get_ref().0,
                spare_capacity(&mut self.events),
                Some(&Timespec::default()),
            );
            match taken {
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Poll::Ready(Err(error.into())),
            }
            if self.events.len() < MOST {
                // These were all, and each is told once: what is ready from now on is another event of Tokio's, which this does not
                // clear.
                ready.clear_ready();
            }
            if self.events.is_empty() {
                continue;
            }
            for event in &self.events {
                let (data, flags) = (event.data, event.flags);
                tell(data.u64(), interest(flags));
            }
            return Poll::Ready(Ok(()));
        }
    }
}
