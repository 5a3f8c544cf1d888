//! Runs the Tokio runtime of a loop: on the pump's thread while it idles, on the helper's while Python is busy.

use crate::io::conn::flush::keep_flushing;
use crate::io::failure::Failure;
use crate::io::hub::Hub;
use crate::io::runtime::helper::Helper;
use crate::io::runtime::host::{Host, Hosting};
use crate::io::runtime::threads;
use crate::io::runtime::wait_timer::WaitTimer;
use crate::io::runtime::watch;
use crate::io::sys::platform::epoll::Selector;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::task::coop::unconstrained;
use tokio::time::sleep;

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
    host: Option<Host>,
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

/// One drive of the pump's, between its polls.
struct Drive<'a> {
    wait: Wait,
    /// The runtime is to look for events before anything is polled.
    look: bool,
    /// It has.
    looked: bool,
    /// Until then it looks for events again and again.
    spin_until: Option<Instant>,
    timer: &'a mut WaitTimer,
}

/// The pump's own memory between drives.
#[derive(Default)]
pub struct PumpState {
    helper: watch::PumpWatch,
    /// Drives since the runtime last looked for events.
    blind_turns: u32,
    timer: WaitTimer,
}

impl Driver {
    /// Starts a runtime for `hub`. With `io_threads` 0 the pump and the helper drive it, else as many threads of
    /// its own.
    pub fn start(hub: Arc<Hub>, io_threads: usize) -> Result<Self, Failure> {
        if io_threads == 0 {
            return Self::start_driven(hub, None);
        }
        keep_heap();
        let mut builder = Builder::new_multi_thread();
        builder.enable_io().enable_time().thread_name("asynctcp-io");
        let runtime = Arc::new(threads::build(
            builder.worker_threads(io_threads),
            io_threads,
        )?);
        hub.reactor.set_threaded_runtime(runtime.handle().clone());
        drop(runtime.spawn(keep_flushing(hub.clone())));
        Ok(Self {
            hub,
            runtime,
            helper: None,
            host: None,
        })
    }

    /// The same, with 0, in which a `host` waits.
    pub(crate) fn start_driven(
        hub: Arc<Hub>,
        host: Option<Arc<Selector>>,
    ) -> Result<Self, Failure> {
        keep_heap();
        let mut builder = Builder::new_current_thread();
        builder.enable_io().enable_time();
        let host = host.map(|selector| Hosting::prepare(selector, &mut builder, &hub));
        let runtime = Arc::new(builder.event_interval(TASKS_A_TURN).build()?);
        let host = host.map(|host| host.begin(&runtime)).transpose()?;
        let helper = Helper::start(&hub, &runtime)?;
        hub.reactor.set_runtime(runtime.handle().clone());
        Ok(Self {
            hub,
            runtime,
            helper: Some(helper),
            host,
        })
    }

    /// The pump's turn in the runtime. A lock of Python's may be held only if it neither waits for an event nor for a
    /// time: [`Wait::No`], [`Wait::Spin`].
    pub fn drive(&self, pump: &mut PumpState, wait: Wait) {
        self.hub.reactor.handover.enter();
        if let Some(helper) = &self.helper {
            pump.helper.back(&helper.watch);
        }
        let mut drive = Drive {
            wait,
            look: pump.is_due_for_io(wait),
            looked: false,
            spin_until: match wait {
                Wait::Spin(until) => Some(until),
                _ => self
                    .hub
                    .reactor
                    .busy_poll()
                    .map(|spin| Instant::now() + spin),
            },
            timer: &mut pump.timer,
        };
        let turn = poll_fn(|context| self.poll_pump(&mut drive, context));
        // Tokio's budget is one for a task, and here are many.
        self.runtime.block_on(unconstrained(turn));
        let looked = drive.looked;
        pump.drove(looked);
        self.hub.reactor.leave();
        if let Some(helper) = &self.helper {
            pump.helper.away(&helper.watch);
        }
    }

    /// The pump's root future: ready when the drive is to end.
    fn poll_pump(&self, drive: &mut Drive<'_>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::take(&mut drive.look) {
            drive.looked = true;
            return look_again(context);
        }
        let queued = poll_drive(&self.hub, context);
        drive.looked |= queued.is_pending();
        let called = self.host.as_ref().is_some_and(|it| it.is_called(context));
        if called || queued.is_ready() {
            return Poll::Ready(());
        }
        let spins = |until| Instant::now() < until;
        match drive.wait {
            Wait::No => Poll::Ready(()),
            // Its time has come.
            Wait::Until(due) if drive.timer.poll(context, due).is_ready() => Poll::Ready(()),
            _ if drive.spin_until.is_some_and(spins) => look_again(context),
            // For long enough.
            Wait::Spin(_) => Poll::Ready(()),
            Wait::Until(_) | Wait::Forever => {
                if let Some(host) = &self.host {
                    host.falls_asleep();
                }
                Poll::Pending
            }
        }
    }

    /// Whether the runtime has threads of its own, and nobody else drives it.
    pub(crate) fn has_threads(&self) -> bool {
        self.helper.is_none()
    }

    /// Whether something in the host's selector has become ready since it was taken last.
    pub(crate) fn is_host_ready(&self) -> bool {
        self.host.as_ref().is_some_and(Host::is_ready)
    }

    /// [`Driver::is_host_ready`], which it is no more.
    pub(crate) fn take_host_ready(&self) -> bool {
        self.host.as_ref().is_some_and(Host::take_ready)
    }

    /// After a time in which nothing could: lets threads of the runtime's own look for events, or the helper leave, so that
    /// the pump's drives look.
    pub fn settle(&self) {
        match &self.helper {
            None => self.runtime.block_on(async { sleep(SETTLING).await }),
            Some(helper) => helper.wait_until_left(),
        }
    }

    /// Ends the runtime: all tasks are dropped, and with them their descriptors. Waits for the helper, which is
    /// recalled first; nothing else is waited for. No lock of Python's may be held.
    pub fn stop(self, pump: PumpState) {
        // Its timer holds the runtime.
        drop(pump);
        let threaded = self.helper.is_none();
        if let Some(helper) = self.helper {
            helper.stop(&self.hub.reactor.handover);
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

impl PumpState {
    /// Whether the coming drive must look for the kernel's events before it may end: with enough queued or called for by
    /// others none ever would.
    fn is_due_for_io(&self, wait: Wait) -> bool {
        matches!(wait, Wait::No) || self.blind_turns >= BLIND_TURNS
    }

    /// `looked`: the runtime looked for events.
    fn drove(&mut self, looked: bool) {
        self.blind_turns = if looked { 0 } else { self.blind_turns + 1 };
    }
}

/// The runtime looks for events, without waiting for them, before it polls again.
fn look_again(context: &Context<'_>) -> Poll<()> {
    context.waker().wake_by_ref();
    Poll::Pending
}

/// Runs the tasks; ready once something is queued.
fn poll_drive(hub: &Hub, context: &mut Context<'_>) -> Poll<()> {
    hub.inbox.queue.rouse();
    hub.reactor.wake_accept_loops();
    let enough = || hub.inbox.memory.unread() >= BATCH_BYTES;
    hub.reactor.poll_tasks(context, enough);
    hub.inbox.queue.poll_ready(context)
}

/// Teaches glibc to keep freed memory for the next batch.
///
/// By default it gives the heap's free end back to the kernel as soon as that exceeds 128 KiB, and a batch of large
/// messages frees that much each time: the page faults that follow were more than half of the cost of a 64 KiB echo.
/// Freeing one block of this size moves the bound to twice the size (mallopt(3), "dynamic mmap threshold").
pub(crate) fn keep_heap() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| drop(std::hint::black_box(Vec::<u8>::with_capacity(HEAP_STEP))));
}
