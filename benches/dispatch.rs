//! From a queued event to the Python callback, with an interpreter in this process.
//!
//! A loop that this thread pumps (`EventLoop.pump`) has its I/O on a thread of its own, so events pile up while nobody
//! pumps. Each measured piece is a `pump()` over a pile whose size is known; making the pile is not measured. The
//! package is the source tree's, with this program's native module in it.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use asynctcp::_core;
use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyModule};
use std::ffi::CString;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

/// Events of one pile: as in a busy loop.
const PILE: usize = 100;
const PATIENCE: Duration = Duration::from_secs(20);

/// The app: what a pile is made of, and how to see that it is complete.
const APP: &str = r#"
import asynctcp

loop = asynctcp.EventLoop()
connected = []


def nothing():
    pass


def read_nothing(socket, data):
    pass


def read_and_write(socket, data):
    socket.write(data)


def serve():
    global server
    server = asynctcp.tcp_server("127.0.0.1", 0, read_nothing, connect_cb=connected.append)


def start():
    loop.call_soon_threadsafe(serve)
    loop.pump()
    return server.address[1]


def use(read_cb):
    def each():
        for socket in connected:
            asynctcp.write_socket_data(socket, b"", read_cb=read_cb)

    loop.call_soon_threadsafe(each)
    loop.pump()


def post(count):
    for _ in range(count):
        loop.call_soon_threadsafe(nothing)


def add_timers(count):
    def each():
        for _ in range(count):
            asynctcp.delay(nothing)

    loop.call_soon_threadsafe(each)


def waiting():
    return loop.stats()["queued_events"]
"#;

/// Imports `asynctcp` from the source tree; its native module is the one in this program.
fn import_package(py: Python<'_>) {
    let native = pyo3::wrap_pymodule!(_core)(py);
    let sys = py.import("sys").unwrap();
    let modules = sys.getattr("modules").unwrap();
    modules.set_item("asynctcp._core", native).unwrap();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/python");
    let path = sys.getattr("path").unwrap();
    path.call_method1("insert", (0, source)).unwrap();
    sys.setattr("dont_write_bytecode", true).unwrap();
}

struct App {
    module: Py<PyModule>,
    pump: Py<PyAny>,
    peers: Vec<TcpStream>,
}

impl App {
    fn start() -> Self {
        Python::initialize();
        let (mut app, port) = Python::attach(|py| {
            import_package(py);
            let code = CString::new(APP).unwrap();
            let module = PyModule::from_code(py, &code, c"app.py", c"app").unwrap();
            let port: u16 = module.call_method0("start").unwrap().extract().unwrap();
            let pump = module.getattr("loop").unwrap().getattr("pump").unwrap();
            let app = Self {
                module: module.unbind(),
                pump: pump.unbind(),
                peers: Vec::new(),
            };
            (app, port)
        });
        for _ in 0..PILE {
            let peer = TcpStream::connect(("127.0.0.1", port)).unwrap();
            peer.set_nodelay(true).unwrap();
            peer.set_read_timeout(Some(PATIENCE)).unwrap();
            app.peers.push(peer);
        }
        app.pump_until_connected();
        app
    }

    fn pump_until_connected(&self) {
        let deadline = Instant::now() + PATIENCE;
        Python::attach(|py| {
            let connected = self.module.getattr(py, "connected").unwrap();
            while connected.bind(py).len().unwrap() < PILE {
                assert!(Instant::now() < deadline, "connections are missing");
                self.pump.call1(py, (0.1,)).unwrap();
            }
        });
    }

    fn call(&self, name: &str, argument: impl for<'py> IntoPyObject<'py>) {
        Python::attach(|py| self.module.call_method1(py, name, (argument,)).unwrap());
    }

    /// Each socket's callback from now on is the app's of this name.
    fn use_callback(&self, name: &str) {
        let callback = Python::attach(|py| self.module.getattr(py, name).unwrap());
        self.call("use", callback);
    }

    /// Waits, without the interpreter, until so many events are queued.
    fn wait_for(&self, count: usize) {
        let deadline = Instant::now() + PATIENCE;
        let waiting = || {
            Python::attach(|py| {
                let waiting = self.module.call_method0(py, "waiting").unwrap();
                waiting.extract::<usize>(py).unwrap()
            })
        };
        while waiting() < count {
            assert!(Instant::now() < deadline, "events are missing");
            thread::yield_now();
        }
    }

    /// One message of each peer, queued and not yet dispatched.
    fn pile_up(&mut self, message: &[u8]) {
        for peer in &mut self.peers {
            peer.write_all(message).unwrap();
        }
        self.wait_for(PILE);
    }

    /// Pumps until the pile is gone; how long that took.
    fn pump(&self) -> Duration {
        Python::attach(|py| {
            let begun = Instant::now();
            let (mut left, mut patience) = (PILE, 0.0);
            while left > 0 {
                assert!(begun.elapsed() < PATIENCE, "callbacks are missing");
                let done = self.pump.call1(py, (patience,)).unwrap();
                left = left.saturating_sub(done.extract(py).unwrap());
                patience = 0.1;
            }
            begun.elapsed()
        })
    }
}

/// `rounds` piles; the time of their pumps alone.
fn piles(rounds: u64, mut pile: impl FnMut() -> Duration) -> Duration {
    (0..rounds).map(|_| pile()).sum()
}

fn dispatch(criterion: &mut Criterion) {
    let mut app = App::start();
    let mut group = criterion.benchmark_group("dispatch 100");
    group.sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements(PILE as u64));

    group.bench_function("the interpreter's part alone", |bench| {
        bench.iter_custom(|rounds| piles(rounds, || calls_alone(&app)));
    });
    group.bench_function("call_soon_threadsafe", |bench| {
        bench.iter_custom(|rounds| {
            piles(rounds, || {
                app.call("post", PILE);
                app.pump()
            })
        });
    });
    group.bench_function("delay, made and called", |bench| {
        bench.iter_custom(|rounds| {
            piles(rounds, || {
                app.call("add_timers", PILE);
                app.pump()
            })
        });
    });
    app.use_callback("read_nothing");
    for size in [64, 1024, 16 * 1024] {
        let message = vec![7; size];
        group.bench_function(BenchmarkId::new("read_cb", size), |bench| {
            bench.iter_custom(|rounds| {
                piles(rounds, || {
                    app.pile_up(&message);
                    app.pump()
                })
            });
        });
    }
    // With the sends that follow, a system call each.
    app.use_callback("read_and_write");
    let (message, mut back) = ([7; 64], [0; 64]);
    group.bench_function(BenchmarkId::new("read_cb that writes", 64), |bench| {
        bench.iter_custom(|rounds| {
            piles(rounds, || {
                app.pile_up(&message);
                let time = app.pump();
                for peer in &mut app.peers {
                    peer.read_exact(&mut back).unwrap();
                    assert!(back == message, "the echo differs");
                }
                time
            })
        });
    });
    group.finish();
    end(&app);
}

/// What no dispatch can do without: a `bytes` object and the call.
fn calls_alone(app: &App) -> Duration {
    Python::attach(|py| {
        let callback = app.module.bind(py).getattr("read_nothing").unwrap();
        let socket = PyDict::new(py);
        let begun = Instant::now();
        for _ in 0..PILE {
            callback
                .call1((&socket, PyBytes::new(py, &[7; 64])))
                .unwrap();
        }
        begun.elapsed()
    })
}

fn end(app: &App) {
    Python::attach(|py| {
        let event_loop = app.module.getattr(py, "loop").unwrap();
        event_loop.call_method0(py, "exit").unwrap();
    });
}

/// Short enough that all benches of the project take about two minutes: what is measured is a small part of a round.
fn short() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(200))
        .sample_size(30)
}

criterion_group! { name = benches; config = short(); targets = dispatch }
criterion_main!(benches);
