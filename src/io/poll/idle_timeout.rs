//! How long a descriptor has not been ready.

use crate::io::event::Event;
use crate::io::hub::Hub;
use crate::io::keys::Key;
use crate::io::runtime::commands::Command;
use crate::io::sys::platform;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::sleep;

/// What pump and task share.
struct Shared {
    timeout: Duration,
    /// Since when, as [`platform::nanoseconds`] counts.
    since: AtomicU64,
    /// `Event::Silent` is on its way.
    told: AtomicBool,
}

impl Shared {
    /// Until it has lasted for so long.
    fn rest(&self) -> Duration {
        let now = platform::nanoseconds();
        let lasted = now.saturating_sub(self.since.load(Ordering::Relaxed));
        self.timeout.saturating_sub(Duration::from_nanos(lasted))
    }
}

/// The pump's end: `Event::Silent` comes each time that so long nothing was heard, until this is dropped.
pub struct IdleTimeout {
    shared: Arc<Shared>,
    /// Its drop ends the task.
    _task: oneshot::Sender<()>,
}

impl IdleTimeout {
    /// From now on.
    pub fn watch(hub: &Arc<Hub>, key: Key, timeout: Duration) -> Self {
        let shared = Arc::new(Shared {
            timeout,
            since: AtomicU64::new(platform::nanoseconds()),
            told: AtomicBool::new(false),
        });
        let (task, end) = oneshot::channel();
        let listening = listen(hub.clone(), key, shared.clone(), end);
        hub.reactor.post(Command::Spawn(Box::pin(listening)));
        Self {
            shared,
            _task: task,
        }
    }

    /// Something was heard just now, or the silence told.
    pub fn begin_anew(&self) {
        self.shared
            .since
            .store(platform::nanoseconds(), Ordering::Relaxed);
    }

    /// `Event::Silent` has come: whether it is still so.
    pub fn lasts(&self) -> bool {
        self.shared.told.store(false, Ordering::SeqCst);
        self.shared.rest().is_zero()
    }
}

async fn listen(hub: Arc<Hub>, key: Key, shared: Arc<Shared>, mut end: oneshot::Receiver<()>) {
    loop {
        let rest = shared.rest();
        // One that was told is not told again before the pump has heard of it, which may take long.
        let told = rest.is_zero() && shared.told.swap(true, Ordering::SeqCst);
        if rest.is_zero() && !told {
            hub.inbox.push(Event::Silent(key));
        }
        let pause = if rest.is_zero() { shared.timeout } else { rest };
        tokio::select! {
            () = sleep(pause) => {}
            _ = &mut end => return,
        }
    }
}
