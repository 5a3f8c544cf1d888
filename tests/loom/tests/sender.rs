//! Writers, who flushes, the task that waits for room, and who closes, against one another.

use asynctcp_loom::check;
use asynctcp_loom::io::conn::levels::Marks;
use asynctcp_loom::io::conn::outcome::{By, Flush, Offer, Sent, Staged};
use asynctcp_loom::io::conn::segments::{Segments, VECTORS};
use asynctcp_loom::io::conn::sender::Sender;
use asynctcp_loom::io::runtime::flush_list::FlushList;
use asynctcp_loom::io::sync::{AtomicUsize, Ordering};
use loom::cell::UnsafeCell;
use loom::sync::{Arc, Notify};
use loom::thread::{self, JoinHandle};
use std::io::{self, IoSlice};

/// What the peer gets. Only who sends touches it; loom reports it if two do at once.
#[derive(Default)]
struct Wire {
    bytes: UnsafeCell<Vec<u8>>,
    /// What a session over it has to say and has not.
    unsaid: AtomicUsize,
}

/// What stands for the FIN there.
const FIN: u8 = 0;

// SAFETY: `bytes` is touched by who sends only, which is what the models are about.
unsafe impl Send for Wire {}
// SAFETY: as above.
unsafe impl Sync for Wire {}

impl Wire {
    /// One system call of a kernel with `room` for so many bytes.
    fn transmit(&self, segments: &mut Segments, room: usize) -> io::Result<Offer> {
        let mut slices = [IoSlice::new(&[]); VECTORS];
        let (used, offered) = segments.gather(&mut slices);
        let all: Vec<u8> = slices[..used]
            .iter()
            .flat_map(|slice| slice.to_vec())
            .collect();
        let count = room.min(offered);
        // SAFETY: this thread sends.
        self.bytes
            .with_mut(|bytes| unsafe { (*bytes).extend_from_slice(&all[..count]) });
        segments.advance(count);
        // What a session has to say is taken with it.
        self.unsaid.store(0, Ordering::SeqCst);
        Ok(Offer {
            room: count == offered,
            sealed: 0,
        })
    }

    fn shut_down(&self) {
        // SAFETY: this thread sends.
        self.bytes.with_mut(|bytes| unsafe { (*bytes).push(FIN) });
    }
}

struct Connection {
    sender: Sender<Wire>,
    wire: std::sync::Arc<Wire>,
    list: FlushList<()>,
    /// Times that it is on the list or in the hands of who took it off.
    listed: AtomicUsize,
    /// Calls the task.
    wake: Notify,
}

const ROOM: usize = usize::MAX;

impl Connection {
    fn connecting() -> Arc<Self> {
        Arc::new(Self {
            sender: Sender::default(),
            wire: std::sync::Arc::default(),
            list: FlushList::default(),
            listed: AtomicUsize::new(0),
            wake: Notify::new(),
        })
    }

    /// The task has sent what was written before, which is nothing.
    fn open() -> Arc<Self> {
        let connection = Self::connecting();
        connection.sender.attach(connection.wire.clone());
        connection.task(ROOM);
        assert!(!connection.sender.is_due());
        connection
    }

    fn write(&self, bytes: &[u8]) {
        match self.sender.stage(bytes) {
            Staged::Yes { list: true } => self.put_on_list(),
            Staged::Yes { list: false } | Staged::Shut | Staged::Broken => {}
            Staged::NoMemory => unreachable!("some bytes"),
        }
    }

    fn shut_down(&self) {
        self.sender.shut_down();
        if self.sender.list() {
            self.put_on_list();
        }
    }

    fn put_on_list(&self) {
        let before = self.listed.fetch_add(1, Ordering::Relaxed);
        assert_eq!(before, 0, "it is on the list twice");
        self.list.push(());
    }

    fn send(&self, by: By, room: usize) -> Sent {
        let transmit = |wire: &Wire, segments: &mut Segments, _: bool| wire.transmit(segments, room);
        self.sender.send(by, transmit, Wire::shut_down)
    }

    /// One turn of the pump, or of the helper in its stead.
    fn flush(&self, room: usize) {
        for () in self.list.take() {
            self.listed.fetch_sub(1, Ordering::Relaxed);
            let sent = self.send(By::List, room);
            if matches!(sent.flush, Flush::Blocked | Flush::Failed) {
                self.wake.notify();
            }
        }
    }

    /// The task sleeps, as long as it has nothing to do.
    fn wait_until_due(&self) {
        while !self.sender.is_due() {
            self.wake.wait();
        }
    }

    /// One poll of the task.
    fn task(&self, room: usize) {
        if self.sender.is_due() {
            while self.sender.is_blocked() {
                self.send(By::Task, room);
            }
        }
    }

    /// What was sent, after a last turn.
    fn sent(&self) -> Vec<u8> {
        self.flush(ROOM);
        assert!(self.list.is_empty());
        assert!(self.sender.is_all_sent(), "bytes are left behind");
        assert!(!self.sender.is_sending(), "somebody is still to send");
        // SAFETY: the other threads have ended.
        self.wire.bytes.with(|bytes| unsafe { (*bytes).clone() })
    }
}

fn run(
    connection: &Arc<Connection>,
    part: impl FnOnce(&Connection) + Send + 'static,
) -> JoinHandle<()> {
    let connection = connection.clone();
    thread::spawn(move || part(&connection))
}

#[test]
fn what_is_staged_is_sent_by_the_next_turn_at_the_latest() {
    check(3, || {
        let connection = Connection::open();
        connection.write(&[1]);
        let writer = run(&connection, |connection| {
            connection.write(&[2]);
            connection.write(&[3]);
        });
        connection.flush(ROOM);
        connection.flush(ROOM);
        writer.join().unwrap();
        assert_eq!(connection.sent(), [1, 2, 3]);
        connection.write(&[4]);
        assert_eq!(connection.sent(), [1, 2, 3, 4]);
        assert_eq!(connection.sender.count(), 4);
    });
}

/// While Python keeps the pump, the helper takes the list as well.
#[test]
fn two_who_flush_never_send_at_the_same_time() {
    check(3, || {
        let connection = Connection::open();
        connection.write(&[1]);
        let helper = run(&connection, |connection| connection.flush(ROOM));
        let pump = run(&connection, |connection| connection.flush(ROOM));
        connection.write(&[2]);
        helper.join().unwrap();
        pump.join().unwrap();
        assert_eq!(connection.sent(), [1, 2]);
    });
}

#[test]
fn the_list_and_others_who_flush_send_in_order() {
    check(3, || {
        let connection = Connection::open();
        let other = run(&connection, |connection| {
            connection.send(By::Other, ROOM);
        });
        connection.write(&[1]);
        connection.write(&[2]);
        connection.flush(ROOM);
        connection.write(&[3]);
        other.join().unwrap();
        assert_eq!(connection.sent(), [1, 2, 3]);
    });
}

#[test]
fn what_the_kernel_has_no_room_for_is_sent_by_the_task() {
    check(3, || {
        let connection = Connection::open();
        connection.write(&[1, 2]);
        let task = run(&connection, |connection| {
            connection.wait_until_due();
            connection.task(ROOM);
        });
        connection.flush(1);
        connection.write(&[3]);
        connection.flush(1);
        task.join().unwrap();
        assert_eq!(connection.sent(), [1, 2, 3]);
        assert!(!connection.sender.is_due());
    });
}

/// A flush gives up after some rounds, the last of which may find that more was staged.
#[test]
fn a_sender_that_others_keep_busy_leaves_the_rest_to_the_task() {
    check(2, || {
        let connection = Connection::open();
        connection.write(&[1]);
        let transmit = |wire: &Wire, segments: &mut Segments, _: bool| {
            connection.write(&[2]);
            wire.transmit(segments, ROOM)
        };
        let writer = run(&connection, |connection| connection.write(&[2]));
        let sent = connection.sender.send(By::Other, transmit, Wire::shut_down);
        assert_eq!(sent.flush, Flush::Blocked);
        writer.join().unwrap();
        connection.task(ROOM);
        assert_eq!(connection.sent(), [1, 2, 2, 2, 2, 2]);
    });
}

/// A session that has something to say while another thread sends.
#[test]
fn what_a_session_has_to_say_is_sent() {
    check(3, || {
        let connection = Connection::open();
        connection.sender.secure(false);
        let writer = run(&connection, |connection| {
            connection.write(&[1]);
            connection.flush(ROOM);
        });
        connection.wire.unsaid.store(1, Ordering::SeqCst);
        connection.sender.note_wants_write();
        connection.send(By::Other, ROOM);
        writer.join().unwrap();
        connection.task(ROOM);
        assert_eq!(connection.wire.unsaid.load(Ordering::SeqCst), 0);
        assert_eq!(connection.sent(), [1]);
    });
}

/// Nobody sends before there is a connection.
#[test]
fn what_was_written_before_there_is_a_connection_is_sent() {
    check(3, || {
        let connection = Connection::connecting();
        let task = run(&connection, |connection| {
            connection.sender.attach(connection.wire.clone());
            connection.task(ROOM);
        });
        connection.write(&[1]);
        connection.flush(ROOM);
        connection.write(&[2]);
        task.join().unwrap();
        assert_eq!(connection.sent(), [1, 2]);
    });
}

#[test]
fn the_fin_is_sent_once_and_after_the_last_byte() {
    check(3, || {
        let connection = Connection::open();
        let helper = run(&connection, |connection| connection.flush(ROOM));
        let writer = run(&connection, |connection| {
            connection.write(&[1]);
            connection.shut_down();
            assert_eq!(connection.sender.stage(&[2]), Staged::Shut);
        });
        connection.flush(ROOM);
        helper.join().unwrap();
        writer.join().unwrap();
        assert_eq!(connection.sent(), [1, FIN]);
        assert_eq!(connection.sent(), [1, FIN]);
    });
}

#[test]
fn a_fin_waits_for_room_too() {
    check(3, || {
        let connection = Connection::open();
        connection.write(&[1, 2]);
        let task = run(&connection, |connection| {
            connection.wait_until_due();
            connection.task(ROOM);
        });
        let closer = run(&connection, Connection::shut_down);
        connection.flush(1);
        closer.join().unwrap();
        connection.flush(1);
        task.join().unwrap();
        assert_eq!(connection.sent(), [1, 2, FIN]);
    });
}

/// Whoever closes by force finds nothing waiting afterwards, whoever sends meanwhile.
#[test]
fn after_a_forced_close_nothing_waits() {
    check(3, || {
        let connection = Connection::open();
        connection.write(&[1, 2]);
        let closer = run(&connection, |connection| {
            connection.sender.close(true);
            assert_eq!(connection.sender.size(), 0);
        });
        connection.flush(1);
        connection.write(&[3]);
        closer.join().unwrap();
        connection.sender.end();
        assert_eq!(connection.sender.size(), 0);
        assert!(connection.sender.wire().is_none());
        assert_eq!(connection.sender.stage(&[4]), Staged::Broken);
    });
}

#[test]
fn why_sending_failed_is_told_once() {
    check(3, || {
        let connection = Connection::open();
        connection.write(&[1]);
        let task = run(&connection, |connection| {
            connection.wait_until_due();
            assert!(connection.sender.has_error());
            assert!(connection.sender.take_error(|_| false).is_none());
            assert!(connection.sender.take_error(|_| true).is_some());
            assert!(!connection.sender.has_error() && !connection.sender.is_due());
        });
        let writer = run(&connection, |connection| connection.write(&[2]));
        let fail = |_: &Wire, _: &mut Segments, _: bool| Err(io::ErrorKind::BrokenPipe.into());
        let sent = connection.sender.send(By::Other, fail, Wire::shut_down);
        assert_eq!(sent.flush, Flush::Failed);
        connection.wake.notify();
        task.join().unwrap();
        writer.join().unwrap();
        assert_eq!(connection.sender.size(), 0, "a broken one keeps bytes");
        assert_eq!(connection.send(By::Other, ROOM).flush, Flush::Nothing);
        assert_eq!(connection.sender.stage(&[4]), Staged::Broken);
    });
}

/// How often two who send with `room` each say that a mark was crossed.
fn crossings(connection: &Arc<Connection>, room: usize) -> usize {
    let told = std::sync::Arc::new(AtomicUsize::new(0));
    let send = move |connection: &Connection, told: &AtomicUsize| {
        let crossed = connection.send(By::Other, room).crossed;
        told.fetch_add(usize::from(crossed), Ordering::Relaxed);
    };
    let helper = {
        let told = told.clone();
        run(connection, move |connection| send(connection, &told))
    };
    send(connection, &told);
    helper.join().unwrap();
    told.load(Ordering::Relaxed)
}

#[test]
fn the_marks_are_crossed_by_turns() {
    check(2, || {
        let connection = Connection::open();
        connection.sender.set_marks(Marks { high: 1, low: 0 });
        connection.write(&[1, 2, 3]);
        assert_eq!(crossings(&connection, 1), 1, "the high mark, once");
        assert!(connection.send(By::Task, ROOM).crossed, "the low mark");
        assert!(connection.sender.next_level_is_full());
        assert!(!connection.sender.next_level_is_full());
    });
}

/// While somebody sends, nobody else says that a mark was crossed.
#[test]
fn what_the_kernel_takes_at_once_crosses_no_mark() {
    check(2, || {
        let connection = Connection::open();
        connection.sender.set_marks(Marks { high: 1, low: 0 });
        connection.write(&[1, 2, 3]);
        assert_eq!(crossings(&connection, ROOM), 0);
        assert_eq!(connection.sent(), [1, 2, 3]);
    });
}
