//! A connection's task that pauses for want of credit against the pump that gives it back.

use asynctcp_loom::check;
use asynctcp_loom::credit::Credit;
use asynctcp_loom::queue::{Batch, Queue};
use loom::future::block_on;
use loom::sync::{Arc, Notify};
use loom::thread;
use std::future::poll_fn;

struct Connection {
    credit: Credit,
    queue: Queue<usize>,
    /// Polls the task again.
    wake: Notify,
}

/// The task receives `reads` and pauses at `limit`; the pump delivers all. Deadlocks, which loom reports, if the task
/// sleeps with nobody to wake it.
fn transfer(preemptions: usize, reads: &'static [usize], limit: usize) {
    check(preemptions, move || {
        let connection = Arc::new(Connection {
            credit: Credit::default(),
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
                if connection.credit.delivered(bytes, limit) {
                    connection.wake.notify();
                }
            }
        }
        task.join().unwrap();
        assert_eq!(connection.credit.unread(), 0);
    });
}

fn receive(connection: &Connection, reads: &[usize], limit: usize) {
    for bytes in reads {
        while !connection.credit.may_read(limit) {
            connection.wake.wait();
        }
        assert!(
            connection.credit.unread() < limit,
            "it reads although it has no credit"
        );
        connection.credit.add(*bytes);
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
        let credit = Credit::default();
        credit.add(4);
        assert!(!credit.may_read(4) && credit.is_paused());
        assert!(!credit.delivered(1, 4), "three of four are left");
        assert!(credit.delivered(1, 4) && !credit.is_paused());
        assert!(!credit.delivered(2, 4), "it was resumed before");
    });
}
