//! Readiness of any descriptor, level-triggered, by epoll.

pub(crate) use crate::io::sys::interest::Interest;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::unix::AsyncFd;

/// So many events are taken at once.
const MOST_EVENTS: usize = 1024;
/// What the wake-up's events are known by; no descriptor has that number.
const WAKE: u64 = u64::MAX;

pub(super) fn flags(what: Interest) -> EventFlags {
    let mut flags = EventFlags::empty();
    flags.set(EventFlags::IN, what.readable);
    flags.set(EventFlags::OUT, what.writable);
    flags
}

/// What the kernel says. An error or a hang-up is readiness for both.
pub(super) fn interest(flags: EventFlags) -> Interest {
    let end = EventFlags::HUP | EventFlags::ERR;
    Interest {
        readable: flags.intersects(EventFlags::IN | end),
        writable: flags.intersects(EventFlags::OUT | end),
    }
}

/// A descriptor and what it is ready for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Readiness {
    pub(crate) number: RawFd,
    pub(crate) what: Interest,
}

/// The events of one wait.
pub(crate) struct Events(Vec<epoll::Event>);

// SAFETY: what an event carries is a number; that it could be an address makes it unfit to be sent.
unsafe impl Send for Events {}

impl Events {
    /// Room for those of one wait.
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(MOST_EVENTS))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Waits for many descriptors at once, and can be woken.
pub(crate) struct Selector {
    epoll: OwnedFd,
    wake: OwnedFd,
    /// Whether the kernel has refused to wait for less than a millisecond.
    coarse: AtomicBool,
}

impl Selector {
    pub(crate) fn new() -> io::Result<Self> {
        let me = Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            coarse: AtomicBool::new(false),
        };
        epoll::add(
            &me.epoll,
            &me.wake,
            EventData::new_u64(WAKE),
            EventFlags::IN,
        )?;
        Ok(me)
    }

    /// From what is registered for the descriptor to what shall be. One that was closed meanwhile, whose number may be another's by
    /// now, is registered anew.
    pub(crate) fn change(
        &self,
        number: RawFd,
        before: Interest,
        after: Interest,
    ) -> io::Result<()> {
        let Ok(data) = u64::try_from(number) else {
            return Err(Errno::BADF.into());
        };
        let data = EventData::new_u64(data);
        // SAFETY: the descriptor is used for the length of this call; it is the app's, and the kernel checks whether it is open.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        if after == Interest::NONE {
            return match epoll::delete(&self.epoll, descriptor) {
                // It was closed, and with that taken out.
                Ok(()) | Err(Errno::NOENT | Errno::BADF) => Ok(()),
                Err(error) => Err(error.into()),
            };
        }
        let add = || epoll::add(&self.epoll, descriptor, data, flags(after));
        let modify = || epoll::modify(&self.epoll, descriptor, data, flags(after));
        let result = if before == Interest::NONE {
            match add() {
                Err(Errno::EXIST) => modify(),
                result => result,
            }
        } else {
            match modify() {
                Err(Errno::NOENT) => add(),
                result => result,
            }
        };
        Ok(result?)
    }

    /// Waits for events, no longer than `timeout` (None: for ever), and puts them into `events`. A signal ends it.
    pub(crate) fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        events.0.clear();
        let coarse = self.coarse.load(Ordering::Relaxed);
        let time = timeout.map(|timeout| if coarse { whole(timeout) } else { timeout });
        match epoll::wait(
            &self.epoll,
            spare_capacity(&mut events.0),
            time.map(timespec).as_ref(),
        ) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            // An old kernel, or a sandbox, that knows milliseconds only.
            Err(Errno::NOSYS | Errno::PERM) if !coarse => {
                self.coarse.store(true, Ordering::Relaxed);
                self.wait(events, timeout)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What the event of that number says; None: it was the wake-up's, which is taken back.
    pub(crate) fn read(&self, events: &Events, number: usize) -> Option<Readiness> {
        let event = *events.0.get(number)?;
        let data = event.data.u64();
        if data == WAKE {
            // Nobody else reads it: that it is empty is no error.
            let _ = rustix::io::read(&self.wake, &mut [0; 8]);
            return None;
        }
        Some(Readiness {
            number: RawFd::try_from(data).ok()?,
            what: interest(event.flags),
        })
    }

    /// Ends the wait that is, or the next. From any thread.
    pub(crate) fn wake(&self) {
        // It fails when the counter is full: then it is awake.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }
}

impl AsRawFd for Selector {
    fn as_raw_fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }
}

/// A selector that Tokio watches.
pub(crate) struct Nested(AsyncFd<Arc<Selector>>);

impl Nested {
    /// In the runtime's context.
    pub(crate) fn new(selector: Arc<Selector>) -> io::Result<Self> {
        // SAFETY: it owns its descriptor, which stays the same until it is dropped, and `AsyncFd` stops watching before it lets go of
        // it. The safe call needs a type of its own for the same.
        let watched =
            unsafe { AsyncFd::register_with_interest(selector, tokio::io::Interest::READABLE) }?;
        Ok(Self(watched))
    }

    /// Ready once for all that became ready in it since the last time.
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        // An error is the runtime's end.
        if let Ok(mut told) = ready!(self.0.poll_read_ready(context)) {
            told.clear_ready();
        }
        Poll::Ready(())
    }
}

/// In whole milliseconds, not sooner.
fn whole(timeout: Duration) -> Duration {
    let milliseconds = timeout.as_nanos().div_ceil(1_000_000);
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or(u64::MAX))
}

fn timespec(timeout: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(timeout.subsec_nanos()),
    }
}
