//! An echo server on the I/O side, without Python: connections × message size over loopback.
//!
//! One iteration is a round: each connection's client writes a message, the server (drive, swap, stage, flush: the
//! pump's turn) echoes it, the client reads it. The clients are one thread with blocking sockets, so the figures hold
//! its system calls and, on few cores, its share of the CPU.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use asynctcp::io::conn::flush::flush;
use asynctcp::io::conn::link::Link;
use asynctcp::io::conn::outcome::Staged;
use asynctcp::io::event::Event;
use asynctcp::io::hub::Hub;
use asynctcp::io::inbox::memory::Limits;
use asynctcp::io::inbox::queue::Batch;
use asynctcp::io::keys::Key;
use asynctcp::io::runtime::driver::{Driver, PumpState, Wait};
use asynctcp::io::setup::bind;
use asynctcp::io::setup::listener::{Listener, Options};
use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// The pump's part, with a hash map where the real one has a slab.
struct Server {
    hub: Arc<Hub>,
    driver: Option<Driver>,
    pump: PumpState,
    batch: Batch<Event>,
    links: HashMap<Key, Arc<Link>>,
    flushing: Vec<Arc<Link>>,
    _listener: Arc<Listener>,
}

impl Server {
    fn start() -> (Self, SocketAddr) {
        let hub = Hub::new(Limits {
            read: 256 * 1024,
            memory: 64 << 20,
        });
        let driver = Driver::start(hub.clone(), 0).unwrap();
        let options = Options::default();
        let socket = bind::bind_address("127.0.0.1:0".parse().unwrap(), &options).unwrap();
        let address = bind::address_of(&socket).unwrap();
        let listener =
            Listener::start(&hub, hub.keys.new_key(), vec![socket], options, false).unwrap();
        let server = Self {
            hub,
            driver: Some(driver),
            pump: PumpState::default(),
            batch: Batch::default(),
            links: HashMap::new(),
            flushing: Vec::new(),
            _listener: listener,
        };
        (server, address)
    }

    /// False: the last connection has ended.
    fn turn(&mut self) -> bool {
        flush(&self.hub, &mut self.flushing, |_| {});
        self.driver.as_ref().unwrap().drive(
            &mut self.pump,
            Wait::Until(Instant::now() + Duration::from_secs(1)),
        );
        let mut batch = std::mem::take(&mut self.batch);
        self.hub.inbox.queue.swap(&mut batch);
        let mut open = true;
        for event in batch.events.drain(..) {
            match event {
                Event::Accepted { link, .. } => drop(self.links.insert(link.key, link)),
                Event::Data(key, place) => self.echo(key, batch.bytes.get(place)),
                Event::Eof(key) => self.links[&key].close(&self.hub, false),
                Event::Gone(key) => {
                    self.links.remove(&key);
                    open = !self.links.is_empty();
                }
                _ => {}
            }
        }
        batch.recycle();
        self.batch = batch;
        self.hub.reactor.kick_helper();
        open
    }

    fn echo(&mut self, key: Key, bytes: &[u8]) {
        let link = &self.links[&key];
        self.hub.inbox.memory.taken(bytes.len());
        self.hub.inbox.memory.delivered(link, bytes.len());
        if link.stage(bytes) == (Staged::Yes { list: true }) {
            self.hub.reactor.flush_later(link);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(driver) = self.driver.take() {
            driver.stop(std::mem::take(&mut self.pump));
        }
    }
}

/// Connects, and then runs as many rounds as it is asked for and says how long they took.
fn clients(
    address: SocketAddr,
    connections: usize,
    size: usize,
    orders: &Receiver<u64>,
    done: &Sender<Duration>,
) {
    let mut streams: Vec<_> = (0..connections)
        .map(|_| {
            let stream = TcpStream::connect(address).unwrap();
            stream.set_nodelay(true).unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            stream
        })
        .collect();
    let message: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
    let mut back = vec![0; size];
    for rounds in orders {
        let begun = Instant::now();
        for _ in 0..rounds {
            for stream in &mut streams {
                stream.write_all(&message).unwrap();
            }
            for stream in &mut streams {
                stream.read_exact(&mut back).unwrap();
            }
        }
        assert!(back == message, "the echo differs");
        done.send(begun.elapsed()).unwrap();
    }
}

/// Connections, and the sizes of their messages.
const LOADS: [(usize, &[usize]); 4] = [
    (1, &[64, 1024, 16 * 1024, 64 * 1024]),
    (10, &[64, 16 * 1024, 64 * 1024]),
    (100, &[64, 1024, 64 * 1024]),
    (400, &[64, 1024]),
];

fn echo(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("echo");
    group.sampling_mode(SamplingMode::Flat);
    for (connections, sizes) in LOADS {
        for &size in sizes {
            group.throughput(Throughput::Elements(connections as u64));
            group.bench_function(
                BenchmarkId::new(format!("{connections} connections"), size),
                |bench| {
                    let (mut server, address) = Server::start();
                    let (order, orders) = channel();
                    let (done, times) = channel();
                    let client =
                        thread::spawn(move || clients(address, connections, size, &orders, &done));
                    let serving = thread::spawn(move || while server.turn() {});
                    bench.iter_custom(|rounds| {
                        order.send(rounds).unwrap();
                        times.recv().unwrap()
                    });
                    drop(order);
                    client.join().unwrap();
                    serving.join().unwrap();
                },
            );
        }
    }
    group.finish();
}

/// Short enough that all benches of the project take about two minutes.
fn short() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20)
}

criterion_group! { name = benches; config = short(); targets = echo }
criterion_main!(benches);
