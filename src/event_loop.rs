//! The native half of `asynctcp.EventLoop`.
//!
//! | file of `event_loop/` | what it is |
//! |---|---|
//! | `object.rs`, `running.rs`, `outcome.rs` | the object; what runs it between begin and end; what came of several steps that are all done |
//! | `stages.rs`, `block.rs`, `closing.rs` | begin and turns; its `with` block; the end |
//! | `open_loops.rs`, `at_exit.rs` | the loops of this process; those that are open when it exits |
//! | `notifier.rs`, `signals.rs`, `wakeup.rs` | notifiers; signal handlers; the wake-up descriptor |

pub(crate) mod at_exit;
pub(crate) mod block;
pub(crate) mod closing;
pub(crate) mod notifier;
pub(crate) mod object;
pub(crate) mod open_loops;
pub(crate) mod outcome;
pub(crate) mod running;
pub(crate) mod signals;
pub(crate) mod stages;
pub(crate) mod wakeup;

use crate::boundary::args;
use crate::boundary::condition;
use crate::event_loop::object::EventLoop;
use crate::io::inbox::memory::LEAST_READ;
use crate::io::inbox::memory::Limits;
use crate::io::sync::Mutex;
use crate::io::sys::platform;
use crate::objects::server::TcpServer;
use crate::shared::beat::Beat;
use crate::shared::loop_state::{Life, LoopState};
use crate::shared::posts::{Post, Posted};
use crate::socket::object::Socket;
use crate::turn::app_error::Catch;
use crate::turn::policy::Policy;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyTuple};
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

/// More would only get in each other's way.
const MOST_IO_THREADS: i64 = 1024;

#[pymethods]
impl EventLoop {
    #[new]
    #[pyo3(signature = (*, catch_app_errors=None, send_errors_to_event_cb=true, io_threads=None, read_limit=None,
                        memory_limit=None, debug=false),
           text_signature = "(*, catch_app_errors=False, send_errors_to_event_cb=True, io_threads=0, \
                             read_limit=262144, memory_limit=67108864, debug=False)")]
    fn new(
        catch_app_errors: Option<&Bound<'_, PyAny>>,
        send_errors_to_event_cb: bool,
        io_threads: Option<&Bound<'_, PyAny>>,
        read_limit: Option<&Bound<'_, PyAny>>,
        memory_limit: Option<&Bound<'_, PyAny>>,
        debug: bool,
    ) -> PyResult<Self> {
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
            state: LoopState::new(limits, debug || debug_by_environment()),
            catch,
            io_threads,
            bell: OnceLock::new(),
            policy: OnceLock::new(),
            running: Mutex::new(None),
        })
    }

    /// Begin, `start_fn()`, turns until nothing is left to do, end.
    fn _run(slf: &Bound<'_, Self>, start_fn: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        stages::run(slf, start_fn)
    }

    /// The descriptor that is readable when a foreign loop shall pump; the first call begins the loop.
    fn _fileno(slf: &Bound<'_, Self>) -> PyResult<platform::RawFd> {
        let (py, me) = (slf.py(), slf.get());
        me.state.check_process(py)?;
        if !me.is_driven() {
            stages::begin(slf, Policy::FOREIGN)?;
        }
        let bell = me.bell.get().map(|bell| bell.number());
        bell.ok_or_else(|| condition::loop_error(py, "no foreign loop drives this event loop"))
    }

    /// See `EventLoop.pump`.
    fn _pump(slf: &Bound<'_, Self>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<usize> {
        slf.get().state.check_process(slf.py())?;
        stages::pump(slf, args::patience("timeout", timeout)?)
    }

    /// See `EventLoop.exit`.
    fn _exit(slf: &Bound<'_, Self>) -> PyResult<()> {
        stages::exit(slf)
    }

    /// An asyncio loop that drives it runs from now on: it is the thread's loop.
    fn _enter(&self, py: Python<'_>) -> PyResult<()> {
        self.state.check_process(py)?;
        self.state.set_thread();
        LoopState::make_current(Some(self.state.clone()));
        Ok(())
    }

    /// It is that thread's to run and to end: the thread in which the asyncio loop runs, or closes it.
    fn _give_to(&self, thread: usize) {
        self.state.give_to(thread);
    }

    /// That asyncio loop stops.
    fn _leave(&self) {
        if self.state.is_current() {
            LoopState::make_current(None);
        }
    }

    /// It is let go of: closes a loop that was pumped and not ended, with a warning.
    fn _forget(slf: &Bound<'_, Self>) -> PyResult<()> {
        closing::forget(slf)
    }

    /// `add_event_loop_exit_callback`.
    fn _add_exit_callback(&self, r#fn: &Bound<'_, PyAny>) -> PyResult<()> {
        let callback = args::required_callback("fn", r#fn)?;
        self.state.check_process(r#fn.py())?;
        self.state.add_exit_callback(callback);
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
        self.state.check_process(args.py())?;
        if self.state.life() == Life::Ended {
            return Err(condition::loop_error(args.py(), "the event loop has ended"));
        }
        let call = Post {
            function: Posted::Function(function),
            arguments: args.clone().unbind(),
            event_cb: None,
        };
        self.state.post(|posts| posts.calls.push_back(call));
        Ok(())
    }

    /// Odd while a callback runs, another number for each; 0 without debug mode.
    fn _beat(&self) -> u64 {
        self.state.beat().map_or(0, Beat::now)
    }

    /// Whether it belongs to the process that this one was forked from.
    fn _is_parents(&self) -> bool {
        self.state.is_forked()
    }

    /// Whether connections of closed sockets still send what was written.
    fn _lingers(&self) -> bool {
        !self.state.is_forked() && self.state.hub.keys.alive() > self.state.table.len()
    }

    /// The open sockets and servers.
    fn _open_objects(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        if self.state.is_forked() {
            return Vec::new();
        }
        open_objects(py, &self.state)
    }

    /// The thread that runs it, as `threading.get_ident()`; 0: none yet.
    #[getter]
    fn _thread(&self) -> usize {
        self.state.thread()
    }

    /// Whether everything is closed.
    fn _has_ended(&self) -> bool {
        self.state.life() == Life::Ended
    }

    /// Looks for events again and again for `seconds` before it sleeps: latency is paid for with CPU time.
    ///
    /// Args:
    ///     seconds: int or float, such as 0.00005; 0 or None: sleeps at once (the default).
    ///
    /// For programs that have a core to spare for each loop; it has no effect on a loop that a foreign loop pumps, as that does
    /// not wait. Raises `TypeError`, `ValueError`. Callable from any thread.
    fn set_busy_poll(&self, py: Python<'_>, seconds: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let seconds = args::delay("seconds", seconds)?;
        self.state.check_process(py)?;
        self.state.hub.reactor.set_busy_poll(seconds);
        Ok(())
    }

    /// Figures of this loop; see `asynctcp.stats`.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.state.check_process(py)?;
        let counts = closing::count_open(py, &self.state);
        let (queued_events, queued_bytes) = match self.state.life() {
            // What came since nobody takes any more.
            Life::Ended => (0, 0),
            _ => self.state.hub.inbox.queue.sizes(),
        };
        let totals = &self.state.totals;
        let stats = PyDict::new(py);
        stats.set_item("servers", counts.servers)?;
        stats.set_item("incoming_tcp_connections", counts.incoming)?;
        stats.set_item("outgoing_tcp_connections", counts.outgoing)?;
        stats.set_item("open_dns_queries", self.state.hub.keys.lookups())?;
        stats.set_item("timers", self.state.timers.armed())?;
        stats.set_item("pollers", counts.pollers)?;
        stats.set_item("idlers", self.state.idlers.count())?;
        stats.set_item("events_dispatched", totals.events.load(Ordering::Relaxed))?;
        stats.set_item("bytes_read", totals.bytes_read.load(Ordering::Relaxed))?;
        stats.set_item(
            "bytes_written",
            totals.bytes_written.load(Ordering::Relaxed),
        )?;
        let refused = self.state.hub.proxy_headers_failed.load(Ordering::Relaxed);
        stats.set_item("proxy_headers_failed", refused)?;
        stats.set_item("queued_events", queued_events)?;
        stats.set_item("queued_bytes", queued_bytes)?;
        let failed = self.state.hub.handshakes_failed.load(Ordering::Relaxed);
        stats.set_item("tls_handshakes_failed", failed)?;
        Ok(stats)
    }

    fn __repr__(&self) -> String {
        format!("<asynctcp.EventLoop {:?}>", self.state.life())
            .to_lowercase()
            .replace("asynctcp.eventloop", "asynctcp.EventLoop")
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        if let Catch::With(function) = &self.catch {
            visit.call(function)?;
        }
        self.state.visit(&visit)
    }

    fn __clear__(&self) {
        drop((
            self.state.take_posts(),
            self.state.timers.take_all(),
            self.state.idlers.take_all(),
            self.state.take_exit_callbacks(),
        ));
    }
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        if self.state.is_forked() {
            // The parent's: dropping the runtime would wait for threads that this process has not, and take locks that they
            // may have held.
            std::mem::forget((self.running.lock().take(), self.state.clone()));
            return;
        }
        if let Some(running) = self.running.lock().take() {
            // Its finalizer was cut off by a signal's handler.
            self.state.set_life(Life::Ended);
            Python::attach(|py| {
                drop(closing::close_all(py, &self.state));
                open_loops::remove(py, &self.state);
            });
            drop(running);
        }
    }
}

/// The open sockets and servers.
fn open_objects(py: Python<'_>, event_loop: &LoopState) -> Vec<Py<PyAny>> {
    let mut objects = Vec::new();
    event_loop.table.each(py, |object| {
        if object.is_exact_instance_of::<Socket>() || object.is_exact_instance_of::<TcpServer>() {
            objects.push(object.clone().unbind());
        }
    });
    objects
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
