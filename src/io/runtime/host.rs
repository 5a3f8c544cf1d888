//! The selector of a loop that hosts this one: Tokio watches it, so both loops sleep in one place.
//!
//! It is told of when something in it becomes ready, not as long as something is: whoever sleeps has seen before that nothing was left.
//! A signal ends Tokio's wait and wakes nobody; here whatever ends it has the sleeper return, as a selector does.

use crate::io::hub::Hub;
use crate::io::sys::platform::epoll::{Nested, Selector};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::Context;
use tokio::runtime::{Builder, Runtime};

/// The pump's wait in the runtime. Used by the thread that waits; another that drives changes nothing.
#[derive(Default)]
struct Sleep {
    asleep: AtomicBool,
    ended: AtomicBool,
}

/// What is there before the runtime is built.
pub(crate) struct Hosting {
    selector: Arc<Selector>,
    sleep: Arc<Sleep>,
}

/// One for each loop that is hosted.
pub(crate) struct Host {
    selector: Nested,
    sleep: Arc<Sleep>,
    /// Something in the selector has become ready since [`Host::take_ready`].
    ready: AtomicBool,
}

impl Hosting {
    /// Has the runtime say when a wait of its has ended.
    pub(crate) fn prepare(selector: Arc<Selector>, builder: &mut Builder, hub: &Arc<Hub>) -> Self {
        let sleep = Arc::<Sleep>::default();
        let (ended, hub) = (sleep.clone(), hub.clone());
        builder.on_thread_unpark(move || {
            if ended.asleep.swap(false, Relaxed) {
                ended.ended.store(true, Relaxed);
                hub.inbox.queue.wake();
            }
        });
        Self { selector, sleep }
    }

    /// Has the runtime watch the selector.
    pub(crate) fn begin(self, runtime: &Runtime) -> io::Result<Host> {
        let _entered = runtime.enter();
        Ok(Host {
            selector: Nested::new(self.selector)?,
            sleep: self.sleep,
            ready: AtomicBool::new(true),
        })
    }
}

impl Host {
    /// In the pump's root future: whether its drive is over, as something has become ready or its wait has ended.
    pub(crate) fn is_called(&self, context: &mut Context<'_>) -> bool {
        self.sleep.asleep.store(false, Relaxed);
        if self.selector.poll(context).is_ready() {
            self.ready.store(true, Relaxed);
        }
        self.sleep.ended.swap(false, Relaxed) || self.ready.load(Relaxed)
    }

    /// The root future is about to wait.
    pub(crate) fn falls_asleep(&self) {
        self.sleep.asleep.store(true, Relaxed);
    }

    /// Whether something in the selector has become ready since it was taken last.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Relaxed)
    }

    /// [`Host::is_ready`], which it is no more.
    pub(crate) fn take_ready(&self) -> bool {
        self.ready.swap(false, Relaxed)
    }
}
