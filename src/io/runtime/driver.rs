//! Runs the Tokio runtime of a loop: on the pump's thread while it idles, on the helper's while Python is busy.
//!
//! The helper takes over when the pump has been away for longer than [`GRACE`]. It learns of that by an [`Alarm`]:
//! in a busy program it looks every `GRACE` and finds the pump's turn number changed; in a quiet one it sleeps, and
//! the pump sets the alarm when it leaves the runtime and clears it when it comes back (two cheap system calls that
//! wake nobody).

use crate::io::conn::flush::{flush_late, keep_flushing};
use crate::io::failure::Failure;
use crate::io::hub::Hub;
use crate::io::runtime::alarm::Alarm;
use crate::io::runtime::handover::Handover;
use crate::io::runtime::threads;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::task::coop::unconstrained;
use tokio::time::{sleep, timeout_at};

/// How long Python may keep the pump before the helper drives: the interpreter's own switch interval. A shorter one
/// cost the prototype 5 %.
const GRACE: Duration = Duration::from_millis(5);
/// A look that is due is not put off by less.
const SHORTEST_LOOK: Duration = Duration::from_micros(100);
/// While the helper drives, what Python writes is sent so often.
const FLUSH_EVERY: Duration = Duration::from_millis(4);
/// Turns within a grace time that make a program busy: the helper then looks at each.
const BUSY_TURNS: u64 = 16;
/// In a quiet program, every so many turns the alarm is left to ring, so that the helper sees how busy it has become.
const CHECK_EVERY: u32 = 64;
/// Tasks that run before the driver looks for new events. With 1,000 busy connections 61 (the default of Tokio), 256 and
/// 1,024 cost more CPU for each message than this.
const TASKS_A_TURN: u32 = 128;

/// Received bytes that are taken to Python before more connections are polled, so that they are sent on while the
/// processor's cache still has them.
const BATCH_BYTES: usize = 128 * 1024;
/// Drives that may end without a look for the kernel's events.
const BLIND_TURNS: u32 = 4;

/// Threads of the runtime's own have looked for events after this.
const SETTLING: Duration = Duration::from_millis(2);
/// How long the end of a loop waits for the workers of `io_threads`.
const WORKERS_END: Duration = Duration::from_millis(200);
/// Twice this much free memory at the heap's end is kept.
const HEAP_STEP: usize = 4 << 20;

/// The runtime and, unless it has threads of its own, the helper.
pub struct Driver {
    hub: Arc<Hub>,
    runtime: Arc<Runtime>,
    helper: Option<Helper>,
}

struct Helper {
    watch: Arc<Watch>,
    thread: JoinHandle<()>,
}

/// What pump and helper share about looking.
struct Watch {
    alarm: Alarm,
    /// The helper sets the alarm itself.
    ticking: AtomicBool,
    /// How often the helper has looked.
    looks: AtomicU64,
    stopped: AtomicBool,
}

/// How long the pump waits for events.
#[derive(Debug, Clone, Copy)]
pub enum Wait {
    /// Not at all: what is ready is done and collected. What only the kernel knows is learned, and done in the next
    /// turn.
    No,
    /// Until the first event or this time, looking for events again and again.
    Spin(Instant),
    /// Until the first event or this time.
    Until(Instant),
    /// Until the first event.
    Forever,
}

/// The pump's own memory of the alarm.
#[derive(Default)]
pub struct PumpWatch {
    set: bool,
    /// It is left to ring.
    left: bool,
    /// [`Watch::looks`] when it was set: while that is the same, it has still to ring.
    looks: u64,
    quiet_turns: u32,
    /// Drives since the runtime last looked for events.
    blind_turns: u32,
}

impl Driver {
    /// Starts a runtime for `hub`. With `io_threads` 0 the pump and the helper drive it, else as many threads of
    /// its own.
    pub fn start(hub: Arc<Hub>, io_threads: usize) -> Result<Self, Failure> {
        keep_heap();
        let mut builder = if io_threads == 0 {
            Builder::new_current_thread()
        } else {
            Builder::new_multi_thread()
        };
        builder.enable_io().enable_time().thread_name("asynctcp-io");
        if io_threads > 0 {
            let runtime = Arc::new(threads::build(
                builder.worker_threads(io_threads),
                io_threads,
            )?);
            hub.reactor.is_driven_by(runtime.handle().clone());
            drop(runtime.spawn(keep_flushing(hub.clone())));
            return Ok(Self {
                hub,
                runtime,
                helper: None,
            });
        }
        let runtime = Arc::new(builder.event_interval(TASKS_A_TURN).build()?);
        let watch = Watch {
            alarm: Alarm::new()?,
            ticking: AtomicBool::new(false),
            looks: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        };
        let watch = Arc::new(watch);
        // As if the pump had left for Python now: what is done before its first turn may take long.
        hub.reactor.leave();
        watch.alarm.set(GRACE);
        let thread = {
            let (hub, runtime, watch) = (hub.clone(), runtime.clone(), watch.clone());
            let thread = std::thread::Builder::new().name("asynctcp-helper".into());
            let thread = thread.spawn(move || help(&hub, &runtime, &watch));
            thread.map_err(|_| Failure::NoThread)?
        };
        Ok(Self {
            hub,
            runtime,
            helper: Some(Helper { watch, thread }),
        })
    }

    /// The pump's turn in the runtime. A lock of Python's may be held only if it neither waits for an event nor for a
    /// time: [`Wait::No`], [`Wait::Spin`].
    pub fn drive(&self, pump: &mut PumpWatch, wait: Wait) {
        self.hub.reactor.handover.enter();
        if let Some(helper) = &self.helper {
            pump.back(&helper.watch);
        }
        let mut look = pump.is_due_for_io(wait);
        let mut looked = false;
        let spin_until = match wait {
            Wait::Spin(until) => Some(until),
            _ => self
                .hub
                .reactor
                .busy_poll()
                .map(|spin| Instant::now() + spin),
        };
        let turn = poll_fn(|context| {
            if std::mem::take(&mut look) {
                // The runtime looks for events before it polls again.
                context.waker().wake_by_ref();
                looked = true;
                return Poll::Pending;
            }
            let queued = poll_drive(&self.hub, context);
            looked |= queued.is_pending();
            if matches!(wait, Wait::No) {
                return Poll::Ready(());
            }
            if queued.is_pending() && spin_until.is_some_and(|until| Instant::now() < until) {
                // The runtime looks for events, without waiting for them, before it polls again.
                context.waker().wake_by_ref();
            } else if matches!(wait, Wait::Spin(_)) {
                return Poll::Ready(());
            }
            queued
        });
        // Tokio's budget is one for a task, and here are many.
        let turn = unconstrained(turn);
        self.runtime.block_on(async {
            match wait {
                Wait::No | Wait::Spin(_) | Wait::Forever => turn.await,
                // A deadline that passed is no error: the pump looks at its timers.
                Wait::Until(deadline) => drop(timeout_at(deadline.into(), turn).await),
            }
        });
        pump.drove(looked);
        self.hub.reactor.leave();
        if let Some(helper) = &self.helper {
            pump.away(&helper.watch);
        }
    }

    /// Lets threads of the runtime's own look for events, after a time in which nothing could.
    pub fn settle(&self) {
        if self.helper.is_none() {
            self.runtime.block_on(async { sleep(SETTLING).await });
        }
    }

    /// Ends the runtime: all tasks are dropped, and with them their descriptors. Waits for the helper, which is
    /// recalled first; nothing else is waited for. No lock of Python's may be held.
    pub fn stop(self) {
        let threaded = self.helper.is_none();
        if let Some(helper) = self.helper {
            helper.watch.stopped.store(true, Ordering::SeqCst);
            self.hub.reactor.handover.enter();
            helper.watch.alarm.set(Duration::from_nanos(1));
            // A helper that panicked has ended as well.
            let _ = helper.thread.join();
        }
        {
            let _entered = self.runtime.enter();
            self.hub.reactor.dismiss_tasks();
        }
        if let Some(runtime) = Arc::into_inner(self.runtime) {
            if threaded {
                // Its workers still hold listeners and connections, which are closed when this returns.
                runtime.shutdown_timeout(WORKERS_END);
            } else {
                runtime.shutdown_background();
            }
        }
        self.hub.clear();
    }
}

impl PumpWatch {
    /// Whether the coming drive must look for the kernel's events before it may end: with enough queued or called for by
    /// others none ever would.
    fn is_due_for_io(&self, wait: Wait) -> bool {
        matches!(wait, Wait::No) || self.blind_turns >= BLIND_TURNS
    }

    /// `looked`: the runtime looked for events.
    fn drove(&mut self, looked: bool) {
        self.blind_turns = if looked { 0 } else { self.blind_turns + 1 };
    }

    fn away(&mut self, watch: &Watch) {
        // SeqCst, here and in `help`: the pump writes its word and then reads `ticking`, the helper the other way
        // round, so at least one of them sees that nobody is looking.
        if watch.ticking.load(Ordering::SeqCst) {
            return;
        }
        let looks = watch.looks.load(Ordering::SeqCst);
        // Setting an alarm that was left to ring would put it off, with each turn anew. A helper that has been rung
        // and not counted it yet has still to look at our word.
        if self.left && self.looks == looks {
            return;
        }
        (self.left, self.looks, self.set) = (false, looks, true);
        watch.alarm.set(GRACE);
    }

    fn back(&mut self, watch: &Watch) {
        if std::mem::take(&mut self.set) {
            self.quiet_turns = (self.quiet_turns + 1) % CHECK_EVERY;
            self.left = self.quiet_turns == 0;
            if !self.left {
                watch.alarm.clear();
                // The helper may have begun to set the alarm itself since `away` looked, and this one cleared it: nobody
                // would ever look again. SeqCst: if its store is not seen here, it sets the alarm after our clearing.
                if watch.ticking.load(Ordering::SeqCst) {
                    watch.alarm.set(GRACE);
                }
            }
        }
    }
}

/// The pump's root future: drives until something is queued.
fn poll_drive(hub: &Hub, context: &mut Context<'_>) -> Poll<()> {
    hub.inbox.queue.rouse();
    hub.reactor.python_is_back();
    let enough = || hub.inbox.memory.unread() >= BATCH_BYTES;
    hub.reactor.poll_tasks(context, enough);
    hub.inbox.queue.poll_ready(context)
}

/// The helper's root future: drives until the pump comes back.
fn poll_help(hub: &Hub, context: &mut Context<'_>) -> Poll<()> {
    if hub.reactor.handover.poll_recalled(context).is_ready() {
        return Poll::Ready(());
    }
    hub.reactor.poll_tasks(context, || false);
    Poll::Pending
}

/// The helper's life.
fn help(hub: &Hub, runtime: &Runtime, watch: &Watch) {
    let mut seen = hub.reactor.handover.observe();
    loop {
        watch.alarm.wait();
        if watch.stopped.load(Ordering::SeqCst) {
            return;
        }
        watch.looks.fetch_add(1, Ordering::SeqCst);
        let now = hub.reactor.handover.observe();
        // The word is read before the time: if the pump was back in between, it is another word by now.
        if hub.reactor.python_time() >= GRACE && hub.reactor.handover.take_over(now) {
            runtime.block_on(unconstrained(drive_for_pump(hub)));
        }
        let turns = Handover::turns_between(seen, now);
        seen = hub.reactor.handover.observe();
        let look = turns >= BUSY_TURNS || Handover::is_away(seen);
        watch.ticking.store(look, Ordering::SeqCst);
        if look || Handover::is_away(hub.reactor.handover.observe()) {
            watch.ticking.store(true, Ordering::SeqCst);
            let rest = GRACE.saturating_sub(hub.reactor.python_time());
            watch.alarm.set(rest.max(SHORTEST_LOOK));
        }
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
            flush
                .as_mut()
                .reset(tokio::time::Instant::now() + FLUSH_EVERY);
        }
        poll_help(hub, context)
    })
    .await;
}

/// Teaches glibc to keep freed memory for the next batch.
///
/// By default it gives the heap's free end back to the kernel as soon as that exceeds 128 KiB, and a batch of large
/// messages frees that much each time: the page faults that follow were more than half of the cost of a 64 KiB echo.
/// Freeing one block of this size moves the bound to twice the size (mallopt(3), "dynamic mmap threshold").
fn keep_heap() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| drop(std::hint::black_box(Vec::<u8>::with_capacity(HEAP_STEP))));
}
