//! A writer that stages and marks against those who take the list and look what is staged.

use asynctcp_loom::check;
use asynctcp_loom::io::conn::mark::Mark;
use asynctcp_loom::io::sync::Mutex;
use loom::sync::Arc;
use loom::thread;

#[derive(Default)]
struct Model {
    staged: Mutex<u32>,
    mark: Mark,
    listed: Mutex<u32>,
    sent: Mutex<u32>,
}

impl Model {
    fn write(&self) {
        *self.staged.lock() += 1;
        if self.mark.set() {
            *self.listed.lock() += 1;
        }
    }

    /// One turn of the pump.
    fn flush(&self) {
        let listed = std::mem::take(&mut *self.listed.lock());
        for _ in 0..listed {
            self.mark.clear();
            let staged = std::mem::take(&mut *self.staged.lock());
            *self.sent.lock() += staged;
        }
    }
}

#[test]
fn what_is_staged_is_sent_by_the_next_turn_at_the_latest() {
    check(3, || {
        let model = Arc::new(Model::default());
        model.write();
        let writer = {
            let model = model.clone();
            thread::spawn(move || {
                model.write();
                model.write();
            })
        };
        model.flush();
        model.flush();
        writer.join().unwrap();
        model.flush();
        assert_eq!(*model.sent.lock(), 3, "bytes are left behind");
        model.write();
        model.flush();
        assert_eq!(*model.sent.lock(), 4, "the link is marked and on no list");
    });
}

/// While Python keeps the pump, the helper takes the list as well.
#[test]
fn what_is_staged_is_sent_by_either_of_two_who_flush() {
    check(3, || {
        let model = Arc::new(Model::default());
        model.write();
        let helper = {
            let model = model.clone();
            thread::spawn(move || model.flush())
        };
        let pump = {
            let model = model.clone();
            thread::spawn(move || model.flush())
        };
        model.write();
        helper.join().unwrap();
        pump.join().unwrap();
        model.flush();
        assert_eq!(*model.sent.lock(), 2, "bytes are left behind");
        model.write();
        model.flush();
        assert_eq!(*model.sent.lock(), 3, "the link is marked and on no list");
    });
}
