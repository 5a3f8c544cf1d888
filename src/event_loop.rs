//! The native half of `asynctcp.EventLoop`: begin, turn, end. The loop itself (while the core has a turn, take it)
//! is Python's, in `_loop.py`.

use crate::app_error::{self, Catch, Which, Whose};
use crate::args;
use crate::call::call;
use crate::condition;
use crate::core::{Beat, Call, Core, Entry, Life, Posted};
use crate::coroutine;
use crate::dispatch::{self, Dispatcher};
use crate::foreign::Foreign;
use crate::io::Limits;
use crate::io::bell::Bell;
use crate::io::hub::{Command, LEAST_READ};
use crate::io::sync::Mutex;
use crate::pump::Pump;
use crate::socket::Socket;
use crate::wakeup;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyTuple};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// More would only get in each other's way.
const MOST_IO_THREADS: i64 = 1024;

/// What `begin` changed and `end` puts back.
struct Running {
    pump: Pump,
    before: Option<Arc<Core>>,
    /// Of a loop that a foreign loop drives.
    foreign: Option<Foreign>,
}

/// See `asynctcp.EventLoop`, which derives from it.
#[pyclass(frozen, subclass, weakref, module = "asynctcp._core")]
pub struct LoopCore {
    core: Arc<Core>,
    catch: Catch,
    io_threads: usize,
    /// What a foreign loop watches; open as long as this object, which that loop may still watch after the end.
    bell: OnceLock<Arc<Bell>>,
    /// Taken out while it takes turns, so that a turn within a turn finds nothing.
    running: Mutex<Option<Box<Running>>>,
}

#[pymethods]
impl LoopCore {
    #[new]
    #[pyo3(signature = (*, catch_app_errors=None, send_errors_to_event_cb=true, io_threads=None, read_limit=None,
                        memory_limit=None, debug=false),
           text_signature = "(*, catch_app_errors=False, send_errors_to_event_cb=True, io_threads=0, \
                             read_limit=262144, memory_limit=67108864, debug=False)")]
    fn new(
        py: Python<'_>,
        catch_app_errors: Option<&Bound<'_, PyAny>>,
        send_errors_to_event_cb: bool,
        io_threads: Option<&Bound<'_, PyAny>>,
        read_limit: Option<&Bound<'_, PyAny>>,
        memory_limit: Option<&Bound<'_, PyAny>>,
        debug: bool,
    ) -> PyResult<Self> {
        let _ = py;
        let least = i64::try_from(LEAST_READ).unwrap_or(i64::MAX);
        let limits = Limits {
            read: args::optional_whole("read_limit", read_limit, least)?.unwrap_or(256 * 1024),
            memory: args::optional_whole("memory_limit", memory_limit, 0)?.unwrap_or(64 << 20),
        };
        let io_threads = io_threads
            .filter(|count| !count.is_none())
            .map_or(Ok(0), |count| {
                args::within("io_threads", count, 0, MOST_IO_THREADS)
            })?;
        let catch = catch_of(catch_app_errors, send_errors_to_event_cb)?;
        Ok(Self {
            core: Core::new(limits, debug || debug_by_environment()),
            catch,
            io_threads,
            bell: OnceLock::new(),
            running: Mutex::new(None),
        })
    }

    /// Starts the runtime, and makes it the thread's loop unless a foreign loop will drive it.
    fn _begin(&self, py: Python<'_>, foreign: bool) -> PyResult<()> {
        self.core.check_process(py)?;
        if !foreign {
            self.check_alone(py)?;
        }
        if self.core.life() != Life::Fresh {
            return Err(condition::loop_error(
                py,
                "an event loop runs once: make a new one",
            ));
        }
        let running = if foreign {
            let bell = Arc::new(Bell::new()?);
            let _ = self.bell.set(bell.clone());
            Running {
                // The foreign loop may be anywhere when a socket becomes ready.
                pump: Pump::start(&self.core, self.io_threads.max(1))?,
                before: None,
                foreign: Some(Foreign::new(bell)),
            }
        } else {
            Running {
                pump: Pump::start(&self.core, self.io_threads)?,
                before: Core::make_current(Some(self.core.clone())),
                foreign: None,
            }
        };
        self.core.set_life(Life::Running);
        *self.running.lock() = Some(Box::new(running));
        Ok(())
    }

    /// Runs `start_fn()` as the loop's first callback.
    fn _call(&self, py: Python<'_>, start_fn: &Bound<'_, PyAny>) -> PyResult<()> {
        self.tick();
        let called = call(start_fn, ());
        self.tick();
        match called {
            Ok(result) => coroutine::look(&self.core, Which::Start, start_fn, &result),
            Err(error) if matches!(self.catch, Catch::With(_)) => {
                let whose = Whose::Other(None);
                self.dispatcher()
                    .app_error(error, Which::Start, Some(start_fn), whose, py)
            }
            // A program that could not start has not started.
            Err(error) => Err(error),
        }
    }

    /// Takes turns until nothing is left to do.
    fn _drain(&self, py: Python<'_>) -> PyResult<()> {
        let mut running = self.take_running(py)?;
        let drained = loop {
            match running.pump.turn(py, &self.core, &self.catch) {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        *self.running.lock() = Some(running);
        drained
    }

    /// The descriptor that is readable when a foreign loop shall pump.
    fn _fileno(&self, py: Python<'_>) -> PyResult<std::os::fd::RawFd> {
        self.core.check_process(py)?;
        let bell = self.bell.get().map(|bell| bell.as_fd().as_raw_fd());
        bell.ok_or_else(|| condition::loop_error(py, "no foreign loop drives this event loop"))
    }

    /// One turn of a loop that a foreign loop drives; waits at most `timeout` seconds for something to do. How many
    /// callbacks and events it was.
    fn _pump(&self, py: Python<'_>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<usize> {
        let patience = args::patience("timeout", timeout)?;
        self.check_alone(py)?;
        let mut running = self.take_running(py)?;
        let before = Core::make_current(Some(self.core.clone()));
        let pumped = self.pump(py, &mut running, patience);
        Core::make_current(before);
        *self.running.lock() = Some(running);
        pumped
    }

    /// Closes everything and stops the runtime. Twice does nothing.
    fn _end(&self, py: Python<'_>) -> PyResult<()> {
        let Some(running) = self.running.lock().take() else {
            return Ok(());
        };
        if self.core.is_forked() {
            // The parent's runtime: its descriptors are watched by an epoll that both processes share.
            std::mem::forget(running);
            return Ok(());
        }
        self.core.set_life(Life::Ended);
        let Running {
            pump,
            before,
            foreign,
        } = *running;
        drop((self.close_all(py), self.core.take_posts()));
        py.detach(|| pump.stop());
        self.core.lender.close(self.core.hub.rooms.close());
        if foreign.is_none() {
            Core::make_current(before);
        }
        if let Some(bell) = self.bell.get() {
            bell.silence();
        }
        Ok(())
    }

    /// The loop has ended: runs the `close_cb`s of the sockets that were open, and of those closed just before. An exception
    /// of one drops no other; what is no `Exception` comes out of the last.
    fn _run_close_callbacks(&self, py: Python<'_>) -> PyResult<()> {
        let mut left = Ok(());
        while !self.core.is_forked() {
            let Some(closing) = self.core.closings.pop() else {
                break;
            };
            left = app_error::run_last(py, &closing).and(left);
        }
        left
    }

    /// Lets the loop read a wake-up descriptor of Python's: a signal then ends its wait.
    fn _watch_signals(&self, fd: std::os::fd::RawFd) -> PyResult<()> {
        let task = wakeup::watch(self.core.hub.clone(), fd)?;
        self.core.hub.post(Command::Spawn(task));
        Ok(())
    }

    /// Asks the loop to end at once. Any thread.
    fn _exit(&self, py: Python<'_>) -> PyResult<()> {
        self.core.check_process(py)?;
        self.core.exit();
        if self.core.is_current() {
            drop(self.close_all(py));
        }
        Ok(())
    }

    /// Runs `fn(*args)` in the loop's thread, soon and in order. Callable from any thread.
    ///
    /// Raises `EventLoopError` once the loop has ended, `TypeError` if `fn` is not callable.
    #[pyo3(signature = (r#fn, *args))]
    fn call_soon_threadsafe(
        &self,
        r#fn: &Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
    ) -> PyResult<()> {
        let function = args::required_callback("fn", r#fn)?;
        self.core.check_process(args.py())?;
        if self.core.life() == Life::Ended {
            return Err(condition::loop_error(args.py(), "the event loop has ended"));
        }
        let call = Call {
            function: Posted::Function(function),
            arguments: args.clone().unbind(),
            event_cb: None,
        };
        self.core.post(|posts| posts.calls.push_back(call));
        Ok(())
    }

    /// `call_soon_threadsafe` with an `event_cb`; a loop that has ended ignores it.
    #[pyo3(signature = (function, event_cb, *args))]
    fn _post(&self, function: Py<PyAny>, event_cb: Option<Py<PyAny>>, args: &Bound<'_, PyTuple>) {
        if self.core.life() != Life::Ended && !self.core.is_forked() {
            let call = Call {
                function: Posted::Function(function),
                arguments: args.clone().unbind(),
                event_cb,
            };
            self.core.post(|posts| posts.calls.push_back(call));
        }
    }

    /// Something of the Python side keeps the loop alive, or does no longer.
    fn _hold(&self, on: bool) {
        self.core.hold(on);
    }

    /// Whether it is in debug mode.
    fn _is_debug(&self) -> bool {
        self.core.beat().is_some()
    }

    /// Odd while a callback runs, another number for each; 0 without debug mode.
    fn _beat(&self) -> u64 {
        self.core.beat().map_or(0, Beat::now)
    }

    /// The open sockets and servers.
    fn _open_objects(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        if self.core.is_forked() {
            return Vec::new();
        }
        self.core.open_objects(py)
    }

    /// Whether it was asked to end.
    fn _is_exiting(&self) -> bool {
        self.core.is_exiting()
    }

    /// Whether it has begun and not ended, and is this process's.
    fn _is_open(&self) -> bool {
        self.core.life() == Life::Running && !self.core.is_forked()
    }

    /// Whether everything is closed.
    fn _has_ended(&self) -> bool {
        self.core.life() == Life::Ended
    }

    /// Looks for events again and again for `seconds` before it sleeps: latency is paid for with CPU time.
    ///
    /// Args:
    ///     seconds: int or float, 0.00005 for one; 0 or None: sleeps at once (the default).
    ///
    /// For programs that have a core to spare for each loop; a loop that a foreign loop pumps does not wait and so takes no
    /// notice. Raises `TypeError`, `ValueError`. Callable from any thread.
    fn set_busy_poll(&self, py: Python<'_>, seconds: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let seconds = args::delay("seconds", seconds)?;
        self.core.check_process(py)?;
        self.core.hub.set_busy_poll(seconds);
        Ok(())
    }

    /// Figures of this loop; see `asynctcp.stats`.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.core.check_process(py)?;
        let (servers, incoming, outgoing) = self.core.census();
        let (queued_events, queued_bytes) = self.core.hub.queue.sizes();
        let totals = &self.core.totals;
        let stats = PyDict::new(py);
        stats.set_item("servers", servers)?;
        stats.set_item("incoming_tcp_connections", incoming)?;
        stats.set_item("outgoing_tcp_connections", outgoing)?;
        stats.set_item("open_dns_queries", self.core.hub.lookups())?;
        stats.set_item("timers", self.core.timers.armed())?;
        stats.set_item("events_dispatched", totals.events.load(Ordering::Relaxed))?;
        stats.set_item("bytes_read", totals.bytes_read.load(Ordering::Relaxed))?;
        stats.set_item(
            "bytes_written",
            totals.bytes_written.load(Ordering::Relaxed),
        )?;
        stats.set_item("queued_events", queued_events)?;
        stats.set_item("queued_bytes", queued_bytes)?;
        Ok(stats)
    }

    fn __repr__(&self) -> String {
        format!("<asynctcp.EventLoop {:?}>", self.core.life())
            .to_lowercase()
            .replace("asynctcp.eventloop", "asynctcp.EventLoop")
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        if let Catch::With(function) = &self.catch {
            visit.call(function)?;
        }
        self.core.visit_entries(&visit)
    }

    fn __clear__(&self) {
        drop((self.core.take_posts(), self.core.timers.take_all()));
    }
}

impl Drop for LoopCore {
    fn drop(&mut self) {
        if self.core.is_forked() {
            // The parent's: dropping the runtime would wait for threads that this process has not, and take locks that they
            // may have held.
            std::mem::forget((self.running.lock().take(), self.core.clone()));
        }
    }
}

impl LoopCore {
    /// What its objects share.
    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// `EventLoopError` if this thread is inside a loop.
    fn check_alone(&self, py: Python<'_>) -> PyResult<()> {
        let Ok(running) = Core::current(py) else {
            return Ok(());
        };
        let message = if Arc::ptr_eq(&running, &self.core) {
            "this event loop is running already"
        } else {
            "another event loop runs in this thread already"
        };
        Err(condition::loop_error(py, message))
    }

    /// Takes it out for the length of a turn.
    fn take_running(&self, py: Python<'_>) -> PyResult<Box<Running>> {
        self.core.check_process(py)?;
        let running = self.running.lock().take();
        running.ok_or_else(|| {
            condition::loop_error(
                py,
                if self.core.life() == Life::Ended {
                    "the event loop has ended"
                } else {
                    "the event loop is not running, or a callback turned it"
                },
            )
        })
    }

    fn pump(
        &self,
        py: Python<'_>,
        running: &mut Running,
        patience: Option<Duration>,
    ) -> PyResult<usize> {
        let Some(foreign) = &mut running.foreign else {
            let message = "the event loop runs by itself: no foreign loop drives it";
            return Err(condition::loop_error(py, message));
        };
        if patience != Some(Duration::ZERO) {
            let deadline = patience.map(|patience| Instant::now() + patience);
            if let Err(error) = foreign.wait(py, &self.core, deadline) {
                if !self.core.is_forked() {
                    // What a signal's handler left before one raised.
                    let left = running.pump.is_behind() || self.core.has_own_work();
                    foreign.listen(&self.core, left);
                }
                return Err(error);
            }
        }
        // A signal's handler may have forked, and this be the child: the bell is the parent's too.
        self.core.check_process(py)?;
        foreign.silence();
        let turned = running.pump.bounded_turn(py, &self.core, &self.catch);
        if !self.core.is_forked() {
            foreign.listen(&self.core, running.pump.is_behind());
        }
        turned.map(|()| running.pump.steps())
    }

    /// Marks everything closed and lets go of the callbacks; the runtime's end closes the descriptors.
    fn close_all(&self, py: Python<'_>) -> Vec<Entry> {
        let entries = self.core.take_all();
        for entry in &entries {
            match entry {
                Entry::Socket(socket) => Socket::end_with_loop(socket.bind(py)),
                Entry::Server(server) => server.get().end(),
                Entry::Lookup(_) => {}
            }
        }
        for timer in self.core.timers.take_all() {
            timer.get().end();
        }
        entries
    }

    fn tick(&self) {
        if let Some(beat) = self.core.beat() {
            beat.tick();
        }
    }

    fn dispatcher(&self) -> Dispatcher<'_> {
        Dispatcher {
            core: &self.core,
            catch: &self.catch,
        }
    }
}

/// Whether `ASYNCTCP_DEBUG` is set, to anything but 0.
fn debug_by_environment() -> bool {
    std::env::var_os("ASYNCTCP_DEBUG").is_some_and(|value| !value.is_empty() && value != "0")
}

fn catch_of(value: Option<&Bound<'_, PyAny>>, to_event_cb: bool) -> PyResult<Catch> {
    match value {
        None => Ok(Catch::Nothing),
        Some(value) => match value.cast::<PyBool>() {
            Ok(all) if all.is_true() => Ok(Catch::All { to_event_cb }),
            Ok(_) => Ok(Catch::Nothing),
            Err(_) => args::required_callback("catch_app_errors", value).map(Catch::With),
        },
    }
}

/// In a forked child: everything of the parent's loops answers `EventLoopError` from now on.
#[pyfunction]
pub fn _forked() {
    crate::core::forked();
}

/// Sets what is called where an `event_cb` is None: `fn(condition)`, in the thread of the loop concerned; for all loops
/// of the process. None restores the library's own, `default_event_handler`. Raises `TypeError`.
#[pyfunction]
#[pyo3(signature = (r#fn))]
pub fn set_default_event_handler(r#fn: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    dispatch::set_default_handler(args::callback("fn", r#fn)?);
    Ok(())
}
