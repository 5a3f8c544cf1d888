//! The event queue: what an event costs until the pump has it, alone and beside a second thread.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use asynctcp::io::event::Event;
use asynctcp::io::inbox::queue::{Batch, Queue};
use asynctcp::io::keys::Key;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Wake, Waker};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

const KEY: Key = Key {
    index: 7,
    generation: 0,
};
/// Events of one swap, as in a busy loop.
const BATCH: u64 = 100;

fn push_bytes(queue: &Queue<Event>, bytes: &[u8]) {
    let pushed = queue.push_bytes(bytes, |place| Event::Data(KEY, place));
    pushed.expect("there is memory");
}

/// `count` pushes in batches; the time includes the swaps and recycling, a hundredth of each push.
fn in_batches(count: u64, queue: &Queue<Event>, mut push: impl FnMut(&Queue<Event>)) -> Duration {
    let mut batch = Batch::default();
    let begun = Instant::now();
    for at in 1..=count {
        push(queue);
        if at % BATCH == 0 {
            queue.swap(&mut batch);
            black_box(&batch);
            batch.recycle();
        }
    }
    begun.elapsed()
}

fn push(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("push");
    group.throughput(Throughput::Elements(1));
    let queue = Queue::default();
    group.bench_function("event", |bench| {
        bench.iter_custom(|count| {
            in_batches(count, &queue, |queue| {
                queue.push(Event::Flushed(black_box(KEY)))
            })
        });
    });
    for size in [64, 1024] {
        let bytes = vec![1; size];
        group.bench_with_input(BenchmarkId::new("bytes", size), &bytes, |bench, bytes| {
            bench.iter_custom(|count| {
                in_batches(count, &queue, |queue| push_bytes(queue, black_box(bytes)))
            });
        });
    }
    group.finish();
}

fn batch_of_100(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("push and swap 100");
    group.throughput(Throughput::Elements(BATCH));
    for size in [64, 1024] {
        let (queue, bytes, mut batch) = (Queue::default(), vec![1; size], Batch::default());
        group.bench_function(BenchmarkId::new("bytes", size), |bench| {
            bench.iter(|| {
                (0..BATCH).for_each(|_| push_bytes(&queue, black_box(&bytes)));
                queue.swap(&mut batch);
                assert_eq!(batch.events.len() as u64, BATCH);
                batch.recycle();
            });
        });
    }
    group.finish();
}

/// What the pump does with a batch: the swap, and looking at each event's bytes.
fn drain(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("drain 100");
    group.throughput(Throughput::Elements(BATCH));
    for size in [64, 1024] {
        let (queue, bytes) = (Queue::default(), vec![1; size]);
        group.bench_function(BenchmarkId::new("bytes", size), |bench| {
            bench.iter_batched_ref(
                || {
                    (0..BATCH).for_each(|_| push_bytes(&queue, &bytes));
                    Batch::default()
                },
                |batch| {
                    queue.swap(batch);
                    for event in batch.events.drain(..) {
                        if let Event::Data(key, place) = event {
                            black_box((key, batch.bytes.get(place)));
                        }
                    }
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// Threads that push as fast as they can, until dropped.
struct Pushers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Pushers {
    fn start(queue: &Arc<Queue<Event>>, count: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..count)
            .map(|_| {
                let (begun, beginning) = channel();
                let (queue, stop) = (queue.clone(), stop.clone());
                let thread = thread::spawn(move || push_until(&queue, &stop, &begun));
                beginning.recv().unwrap();
                thread
            })
            .collect();
        Self { stop, threads }
    }
}

impl Drop for Pushers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}

fn push_until(queue: &Queue<Event>, stop: &AtomicBool, begun: &Sender<()>) {
    let bytes = [1; 64];
    push_bytes(queue, &bytes);
    begun.send(()).unwrap();
    while !stop.load(Ordering::Relaxed) {
        push_bytes(queue, &bytes);
    }
}

/// A push while other threads push as fast as they can.
fn contended(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("push beside others");
    group.throughput(Throughput::Elements(1));
    let bytes = vec![1; 64];
    for others in [1, 3] {
        group.bench_function(BenchmarkId::new("bytes/64, threads", others), |bench| {
            bench.iter_custom(|count| {
                let queue = Arc::new(Queue::default());
                let _pushers = Pushers::start(&queue, others);
                in_batches(count, &queue, |queue| push_bytes(queue, black_box(&bytes)))
            });
        });
    }
    group.finish();
}

/// Unparks a thread; counts nothing, wakes nobody else.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

struct Nobody;

impl Wake for Nobody {
    fn wake(self: Arc<Self>) {}
}

/// Falling asleep and being woken: the queue's own part, and with two real thread switches.
fn sleep_and_wake(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sleep and wake");
    let queue = Queue::default();
    let waker = Waker::from(Arc::new(Nobody));
    let mut batch = Batch::default();
    group.bench_function("one thread", |bench| {
        bench.iter(|| {
            assert!(
                queue
                    .poll_ready(&mut Context::from_waker(&waker))
                    .is_pending()
            );
            queue.push(Event::Flushed(black_box(KEY)));
            queue.swap(&mut batch);
            batch.recycle();
        });
    });
    group.bench_function("there and back between two threads", |bench| {
        bench.iter_custom(|count| {
            let (there, back) = (Arc::new(Queue::default()), Arc::new(Queue::default()));
            let other = {
                let (there, back) = (there.clone(), back.clone());
                thread::spawn(move || (0..count).for_each(|_| pass_on(&there, &back)))
            };
            let begun = Instant::now();
            for _ in 0..count {
                there.push(Event::Flushed(KEY));
                wait(&back);
            }
            let time = begun.elapsed();
            other.join().unwrap();
            time
        });
    });
    group.finish();
}

fn pass_on(from: &Queue<Event>, to: &Queue<Event>) {
    wait(from);
    to.push(Event::Flushed(KEY));
}

fn wait(queue: &Queue<Event>) {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    while queue
        .poll_ready(&mut Context::from_waker(&waker))
        .is_pending()
    {
        thread::park();
    }
    let mut batch = Batch::default();
    queue.swap(&mut batch);
}

/// Short enough that all benches of the project take about two minutes.
fn short() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(30)
}

criterion_group! { name = benches; config = short(); targets = push, batch_of_100, drain, contended, sleep_and_wake }
criterion_main!(benches);
