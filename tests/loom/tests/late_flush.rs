//! What is staged where the runtime has threads of its own is sent by the task for that, whoever stages it and when.

use asynctcp_loom::check;
use asynctcp_loom::io::runtime::flush_list::FlushList;
use asynctcp_loom::io::runtime::late_flush::LateFlush;
use loom::future::block_on;
use loom::sync::Arc;
use loom::thread;

#[derive(Default)]
struct Loop {
    dirty: FlushList<u32>,
    late: LateFlush,
}

impl Loop {
    fn stage(&self, link: u32) {
        self.dirty.push(link);
        self.late.call();
    }

    /// The task, until so many were sent. Its patience is over at once.
    fn keep_flushing(&self, count: usize) -> Vec<u32> {
        let mut sent = Vec::new();
        block_on(async {
            while sent.len() < count {
                self.late.called().await;
                while self.late.is_due() {
                    sent.extend(self.dirty.take());
                }
            }
        });
        sent
    }
}

#[test]
fn what_is_staged_while_the_task_falls_asleep_is_sent() {
    check(3, || {
        let shared = Arc::new(Loop::default());
        let task = {
            let shared = shared.clone();
            thread::spawn(move || shared.keep_flushing(2))
        };
        shared.stage(1);
        shared.stage(2);
        assert_eq!(task.join().unwrap(), [1, 2]);
    });
}

#[test]
fn what_two_threads_stage_is_sent() {
    check(2, || {
        let shared = Arc::new(Loop::default());
        let staging = {
            let shared = shared.clone();
            thread::spawn(move || shared.stage(1))
        };
        let task = {
            let shared = shared.clone();
            thread::spawn(move || shared.keep_flushing(2))
        };
        shared.stage(2);
        staging.join().unwrap();
        assert_eq!(task.join().unwrap().len(), 2);
    });
}
