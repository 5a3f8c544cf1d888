//! A connection's task that pauses at its limit against the pump that takes what it received.

use asynctcp_loom::check;
use asynctcp_loom::io::inbox::flow_control::FlowControl;
use asynctcp_loom::io::inbox::queue::{Batch, Queue};
use loom::future::block_on;
use loom::sync::{Arc, Notify};
use loom::thread;
use std::future::poll_fn;

struct Connection {
    flow: FlowControl,
    queue: Queue<usize>,
    /// Polls the task again.
    wake: Notify,
}

/// The task receives `reads` and pauses at `limit`; the pump delivers all. Deadlocks, which loom reports, if the task
/// sleeps with nobody to wake it.
fn transfer(preemptions: usize, reads: &'static [usize], limit: usize) {
    check(preemptions, move || {
        let connection = Arc::new(Connection {
            flow: FlowControl::default(),
            queue: Queue::default(),
            wake: Notify::new(),
        });
        let task = {
            let connection = connection.clone();
            thread::spawn(move || receive(&connection, reads, limit))
        };
        let mut delivered = 0;
        while delivered < reads.iter().sum() {
            block_on(poll_fn(|context| connection.queue.poll_ready(context)));
            let mut batch = Batch::default();
            connection.queue.swap(&mut batch);
            for bytes in batch.events {
                delivered += bytes;
                if connection.flow.delivered(bytes, limit) {
                    connection.wake.notify();
                }
            }
        }
        task.join().unwrap();
        assert_eq!(connection.flow.unread(), 0);
    });
}

fn receive(connection: &Connection, reads: &[usize], limit: usize) {
    for bytes in reads {
        while !connection.flow.may_read(limit) {
            connection.wake.wait();
        }
        assert!(
            connection.flow.unread() < limit,
            "it reads although it has no flow"
        );
        connection.flow.add(*bytes);
        connection.queue.push(*bytes);
    }
}

#[test]
fn a_task_that_pauses_at_each_read_is_always_resumed() {
    transfer(4, &[1, 1, 1], 1);
}

#[test]
fn a_task_that_pauses_in_between_is_always_resumed() {
    transfer(3, &[1, 1, 2, 1], 2);
}

#[test]
fn a_task_resumes_at_half_of_the_limit_and_not_before() {
    check(1, || {
        let flow = FlowControl::default();
        flow.add(4);
        assert!(!flow.may_read(4) && flow.is_paused());
        assert!(!flow.delivered(1, 4), "three of four are left");
        assert!(flow.delivered(1, 4) && !flow.is_paused());
        assert!(!flow.delivered(2, 4), "it was resumed before");
    });
}
