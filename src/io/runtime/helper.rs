//! The helper: a thread that drives in the pump's place while Python keeps that.

use crate::io::conn::flush::flush_late;
use crate::io::failure::Failure;
use crate::io::hub::Hub;
use crate::io::runtime::alarm::Alarm;
use crate::io::runtime::handover::Handover;
use crate::io::runtime::watch::Watch;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::task::coop::unconstrained;
use tokio::time::{Instant, sleep};

/// How long Python may keep the pump before the helper drives: the interpreter's own switch interval. A shorter one
/// cost the prototype 5 %.
const GRACE: Duration = Duration::from_millis(5);
/// A look that is due is not put off by less.
const SHORTEST_LOOK: Duration = Duration::from_micros(100);
/// While the helper drives, what Python writes is sent so often.
const FLUSH_EVERY: Duration = Duration::from_millis(4);
/// Turns within a grace time that make a program busy: the helper then looks at each.
const BUSY_TURNS: u64 = 16;
/// In a quiet program the helper sees how busy it has become after so many turns.
const CHECK_EVERY: u32 = 64;
/// A helper that is recalled leaves the runtime within this time, if it gets a processor.
const LEAVING: Duration = Duration::from_millis(5);

/// The pump's side of it.
pub(crate) struct Helper {
    pub(crate) watch: Arc<Watch<Alarm>>,
    /// It has the runtime, or is about to take it.
    drives: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Helper {
    /// As if the pump had left for Python now: what is done before its first turn may take long.
    pub(crate) fn start(hub: &Arc<Hub>, runtime: &Arc<Runtime>) -> Result<Self, Failure> {
        let alarm = Alarm::new()?;
        hub.reactor.leave();
        let watch = Arc::new(Watch::new(alarm, GRACE, CHECK_EVERY));
        let drives = Arc::<AtomicBool>::default();
        let thread = {
            let (hub, runtime, watch) = (hub.clone(), runtime.clone(), watch.clone());
            let drives = drives.clone();
            let thread = std::thread::Builder::new().name("asynctcp-helper".into());
            let thread = thread.spawn(move || help(&hub, &runtime, &watch, &drives));
            thread.map_err(|_| Failure::NoThread)?
        };
        Ok(Self {
            watch,
            drives,
            thread,
        })
    }

    /// After its recall: waits until it has left the runtime, without which the pump's drives look for no events.
    pub(crate) fn wait_until_left(&self) {
        let until = std::time::Instant::now() + LEAVING;
        while self.drives.load(Ordering::SeqCst) && std::time::Instant::now() < until {
            std::thread::yield_now();
        }
    }

    /// Recalls it, and waits for its end.
    pub(crate) fn stop(self, handover: &Handover) {
        handover.enter();
        self.watch.stop();
        // A helper that panicked has ended as well.
        let _ = self.thread.join();
    }
}

/// The helper's life.
fn help(hub: &Hub, runtime: &Runtime, watch: &Watch<Alarm>, drives: &AtomicBool) {
    let (reactor, handover) = (&hub.reactor, &hub.reactor.handover);
    let mut seen = handover.observe();
    while watch.wait() {
        let now = handover.observe();
        // The word is read before the time: if the pump was back in between, it is another word by now.
        if reactor.python_time() >= GRACE {
            drives.store(true, Ordering::SeqCst);
            if handover.take_over(now) {
                runtime.block_on(unconstrained(drive_for_pump(hub)));
            }
            drives.store(false, Ordering::SeqCst);
        }
        let busy = Handover::turns_between(seen, now) >= BUSY_TURNS;
        seen = handover.observe();
        watch.looked(busy, handover, || {
            GRACE
                .saturating_sub(reactor.python_time())
                .max(SHORTEST_LOOK)
        });
    }
}

/// The helper's drive, until the pump is back. It sends what Python has written, at first and then at times: a callback
/// may go on writing for long, and what it writes is not to be sent in many small pieces.
async fn drive_for_pump(hub: &Hub) {
    flush_late(hub);
    let mut flush = Box::pin(sleep(FLUSH_EVERY));
    poll_fn(|context| {
        while flush.as_mut().poll(context).is_ready() {
            flush_late(hub);
            flush.as_mut().reset(Instant::now() + FLUSH_EVERY);
        }
        poll(hub, context)
    })
    .await;
}

/// Drives until the pump comes back.
fn poll(hub: &Hub, context: &mut Context<'_>) -> Poll<()> {
    if hub.reactor.handover.poll_recalled(context).is_ready() {
        return Poll::Ready(());
    }
    hub.reactor.poll_tasks(context, || false);
    Poll::Pending
}
