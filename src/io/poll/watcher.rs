//! The task that tells the pump which descriptors are ready, and which were closed.

use crate::io::event::Event;
use crate::io::failure::Failure;
use crate::io::hub::Hub;
use crate::io::keys::Key;
use crate::io::poll::descriptors;
use crate::io::runtime::commands::Command;
use crate::io::sys::interest::Interest;
use crate::io::sys::platform::oneshot::{OneShots, Waiting};
use crate::io::sys::platform::{RawFd, c};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// The kernel does not tell that one was closed, and what waited for it would wait for ever: so often it is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Others have their turn after so many looks.
const LOOKS: usize = 8;

/// Begins to watch: `Event::Polled` comes when it is ready, once until it is asked for again.
pub fn watch(hub: &Arc<Hub>, key: Key, number: RawFd, what: Interest) -> Result<(), Failure> {
    let added = hub.descriptors.add(key, number, what)?;
    if let Some(shots) = added.begun {
        let task = start(hub.clone(), shots);
        hub.reactor.post(Command::Spawn(Box::pin(task)));
    }
    if let Some(looker) = added.looker {
        hub.reactor.post(Command::Call(looker));
    }
    if let Some(before) = added.before {
        hub.inbox
            .push(Event::failed(before, descriptors::closed(number)));
    }
    Ok(())
}

/// Inside of the runtime.
async fn start(hub: Arc<Hub>, shots: Arc<OneShots>) {
    match Waiting::new(shots) {
        Ok(waiting) => hub.reactor.spawn(WatchTask {
            hub: hub.clone(),
            waiting,
            look: None,
        }),
        Err(error) => fail(&hub, &error),
    }
}

/// Tells all that they cannot be watched.
fn fail(hub: &Hub, error: &io::Error) {
    let code = error.raw_os_error().unwrap_or(c::EIO);
    for key in hub.descriptors.take_all() {
        let failure = Failure::Os(io::Error::from_raw_os_error(code));
        hub.inbox.push(Event::failed(key, failure));
    }
}

struct WatchTask {
    hub: Arc<Hub>,
    waiting: Waiting,
    /// None: there is nothing to look for.
    look: Option<Pin<Box<Sleep>>>,
}

impl WatchTask {
    fn tell_closed(&mut self, context: &mut Context<'_>) {
        let look = self.look.get_or_insert_with(|| Box::pin(sleep(LOOK_EVERY)));
        while look.as_mut().poll(context).is_ready() {
            let Some(closed) = self.hub.descriptors.take_closed(context.waker()) else {
                self.look = None;
                return;
            };
            for (key, failure) in closed {
                self.hub.inbox.push(Event::failed(key, failure));
            }
            look.as_mut().reset(Instant::now() + LOOK_EVERY);
        }
    }
}

impl Future for WatchTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let me = &mut *self;
        me.tell_closed(context);
        let inbox = &me.hub.inbox;
        let tell = |name, what| inbox.push(Event::Polled(descriptors::key(name), what));
        for _ in 0..LOOKS {
            match me.waiting.poll(context, tell) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    fail(&me.hub, &error);
                    return Poll::Ready(());
                }
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
