//! What others ask of whoever drives.
//!
//! Waking a task from outside the runtime would cost a write to Tokio's eventfd each, so it is left here, and done by
//! whoever drives, in the first poll of its root future. A runtime with threads of its own is asked at once.

use crate::io::conn::link::Link;
use crate::io::runtime::mailbox::Mailbox;
use crate::io::runtime::threads::Threads;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Waker;

/// What is asked.
pub enum Command {
    /// A connection's flags changed, or it may read again.
    Wake(Arc<Link>),
    /// Start a task: a connection attempt, an accept loop.
    Spawn(Pin<Box<dyn Future<Output = ()> + Send>>),
    /// Wake any other task.
    Call(Waker),
}

impl Command {
    /// On the driving thread, inside the runtime.
    fn run(self) {
        match self {
            Self::Wake(link) => link.wake_task(),
            Self::Call(waker) => waker.wake(),
            // Detached on purpose: each task ends by a flag of its link or listener, at the latest with the runtime.
            Self::Spawn(task) => drop(tokio::spawn(task)),
        }
    }
}

/// What was asked and not done.
#[derive(Default)]
pub(crate) struct Commands {
    mailbox: Mailbox<Command>,
    pub(crate) threads: Threads,
}

impl Commands {
    /// Any thread.
    pub(crate) fn post(&self, command: Command) {
        if self.mailbox.is_closed() {
            return;
        }
        if let Some(runtime) = self.threads.runtime_if_threaded() {
            let _entered = runtime.enter();
            return command.run();
        }
        self.mailbox.put(command);
    }

    /// Whether nothing was asked.
    pub(crate) fn is_empty(&self) -> bool {
        self.mailbox.is_empty()
    }

    /// Does what was asked, on the driving thread inside the runtime. The root futures call it after they have registered
    /// their wakers.
    pub(crate) fn run(&self) {
        if !self.mailbox.is_empty() {
            self.mailbox.take().into_iter().for_each(Command::run);
        }
    }

    /// The loop has ended: drops what was asked, and takes on nothing more.
    pub(crate) fn end(&self) {
        drop(self.mailbox.close());
        self.threads.forget();
    }
}
