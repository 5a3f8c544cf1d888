//! Producers against a pump that sleeps on the queue.

use asynctcp_loom::check;
use asynctcp_loom::io::inbox::arena::ByteRange;
use asynctcp_loom::io::inbox::queue::{Batch, Queue};
use loom::future::block_on;
use loom::sync::Arc;
use loom::thread;
use std::future::poll_fn;

/// Sleeps until something is queued and takes it.
fn next_batch<E>(queue: &Queue<E>) -> Batch<E> {
    block_on(poll_fn(|context| {
        queue.rouse();
        queue.poll_ready(context)
    }));
    let mut batch = Batch::default();
    queue.swap(&mut batch);
    batch
}

/// Deadlocks, which loom reports, if a wake-up is lost.
#[test]
fn all_events_of_two_producers_reach_a_sleeping_pump_in_each_ones_order() {
    check(3, || {
        let queue = Arc::new(Queue::<u8>::default());
        for producer in [10, 20] {
            let queue = queue.clone();
            thread::spawn(move || {
                queue.push(producer);
                queue.push(producer + 1);
            });
        }
        let mut got = Vec::new();
        while got.len() < 4 {
            let batch = next_batch(&queue);
            assert!(
                !batch.is_empty(),
                "the pump was woken for nothing and told that it was not"
            );
            got.extend(batch.events);
        }
        for producer in [10, 20] {
            let own: Vec<_> = got
                .iter()
                .filter(|event| **event / 10 * 10 == producer)
                .collect();
            assert_eq!(own, [&producer, &(producer + 1)]);
        }
    });
}

#[test]
fn bytes_and_their_event_are_in_one_batch() {
    check(3, || {
        let queue = Arc::new(Queue::<(u8, ByteRange)>::default());
        for byte in [1, 2] {
            let queue = queue.clone();
            thread::spawn(move || {
                queue
                    .push_bytes(&[byte; 2], |place| (byte, place))
                    .unwrap()
            });
        }
        let mut events = 0;
        while events < 2 {
            let batch = next_batch(&queue);
            for (byte, place) in &batch.events {
                assert_eq!(batch.bytes.get(*place), [*byte; 2]);
            }
            assert_eq!(batch.bytes.len(), 2 * batch.events.len());
            events += batch.events.len();
        }
    });
}

#[test]
fn a_swap_against_a_push_neither_loses_nor_doubles() {
    check(3, || {
        let queue = Arc::new(Queue::<u8>::default());
        let producer = {
            let queue = queue.clone();
            thread::spawn(move || {
                queue.push(1);
                queue.push_urgent(2);
                queue.push(3);
            })
        };
        let mut first = Batch::default();
        queue.swap(&mut first);
        producer.join().unwrap();
        let mut second = Batch::default();
        queue.swap(&mut second);
        first.events.append(&mut second.events);
        first.urgent.append(&mut second.urgent);
        assert_eq!((first.events, first.urgent), (vec![1, 3], vec![2]));
        assert!(queue.is_empty());
    });
}

/// `Queue::wake` queues nothing: whoever sleeps must look at what it was woken for itself.
#[test]
fn a_wake_without_an_event_makes_the_sleeper_look() {
    check(3, || {
        let queue = Arc::new(Queue::<u8>::default());
        let told = Arc::new(loom::sync::atomic::AtomicBool::new(false));
        {
            let (queue, told) = (queue.clone(), told.clone());
            thread::spawn(move || {
                told.store(true, std::sync::atomic::Ordering::SeqCst);
                queue.wake();
            });
        }
        block_on(poll_fn(|context| {
            let ready = queue.poll_ready(context);
            assert!(ready.is_pending());
            if told.load(std::sync::atomic::Ordering::SeqCst) {
                std::task::Poll::Ready(())
            } else {
                ready
            }
        }));
    });
}
