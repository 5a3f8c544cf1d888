//! Limits: what is received and not taken, what is written and not sent, and what is disabled.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use asynctcp::io::conn::levels::Marks;
use asynctcp::io::conn::link::Timeouts;
use asynctcp::io::conn::outcome::Flush;
use asynctcp::io::failure::Failure;
use asynctcp::io::inbox::memory::LEAST_READ;
use asynctcp::io::inbox::memory::Limits;
use asynctcp::io::runtime::driver::Wait;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use support::{LIMITS, Pump, pattern, reset};

/// Something that must not happen gets this long to happen.
const LONG_ENOUGH: Duration = Duration::from_millis(60);

/// Writes `bytes` and then a FIN, from a thread.
fn send(mut peer: TcpStream, bytes: Vec<u8>) -> JoinHandle<TcpStream> {
    thread::spawn(move || {
        peer.write_all(&bytes).unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        peer
    })
}

#[test]
fn reading_pauses_at_the_read_limit_and_resumes_at_half_of_it() {
    let mut pump = Pump::new();
    let (link, peer) = pump.pair(Timeouts::default());
    pump.holding.push(link.key);
    let total = 4 << 20;
    let sender = send(peer, pattern(total));
    pump.until("the limit", |pump| {
        pump.received(link.key).len() >= LIMITS.read
    });
    pump.during(LONG_ENOUGH);
    assert_eq!(pump.received(link.key).len(), LIMITS.read);

    pump.deliver(link.key, LIMITS.read / 2 - 1);
    pump.during(LONG_ENOUGH);
    assert_eq!(
        pump.received(link.key).len(),
        LIMITS.read,
        "more than half is left"
    );

    pump.deliver(link.key, 1);
    let next = LIMITS.read + LIMITS.read / 2;
    pump.until("as much again as was taken", |pump| {
        pump.received(link.key).len() >= next
    });
    pump.during(LONG_ENOUGH);
    assert_eq!(pump.received(link.key).len(), next);

    pump.until("all", |pump| {
        pump.deliver(link.key, usize::MAX);
        pump.was_told(link.key, "eof")
    });
    sender.join().unwrap();
    assert!(pump.received(link.key) == pattern(total));
}

#[test]
fn the_memory_limit_holds_for_two_links_together() {
    let limits = Limits {
        read: 256 * 1024,
        memory: 300 * 1024,
    };
    let mut pump = Pump::with(limits, 0);
    let (one, first) = pump.pair(Timeouts::default());
    let (two, second) = pump.pair(Timeouts::default());
    pump.stuck = true;
    let total = 1 << 20;
    let senders = [send(first, pattern(total)), send(second, pattern(total))];
    pump.until("the limit", |pump| {
        pump.hub.inbox.memory.unread() >= limits.memory
    });
    pump.during(LONG_ENOUGH);
    // Each looks before it reads, so one read of each may go beyond.
    let unread = pump.hub.inbox.memory.unread();
    assert!(
        unread <= limits.memory + 2 * 64 * 1024,
        "{unread} bytes are unread"
    );
    assert!(
        pump.received(one.key).len() >= LEAST_READ && pump.received(two.key).len() >= LEAST_READ
    );

    pump.unstick();
    pump.until("both ends", |pump| {
        pump.was_told(one.key, "eof") && pump.was_told(two.key, "eof")
    });
    for sender in senders {
        sender.join().unwrap();
    }
    for link in [one, two] {
        assert!(pump.received(link.key) == pattern(total));
    }
}

/// Otherwise one connection that is not read would silence all others.
#[test]
fn a_connection_without_unread_bytes_may_read_4_kib_beyond_the_memory_limit() {
    let limits = Limits {
        read: 256 * 1024,
        memory: 64 * 1024,
    };
    let mut pump = Pump::with(limits, 0);
    let (_greedy, first) = pump.pair(Timeouts::default());
    let (modest, mut second) = pump.pair(Timeouts::default());
    pump.stuck = true;
    let sender = send(first, pattern(1 << 20));
    pump.until("the limit", |pump| {
        pump.hub.inbox.memory.unread() >= limits.memory
    });
    second.write_all(&pattern(10_000)).unwrap();
    pump.until("its share", |pump| {
        pump.received(modest.key).len() >= LEAST_READ
    });
    pump.during(LONG_ENOUGH);
    assert_eq!(pump.received(modest.key).len(), LEAST_READ);
    pump.unstick();
    pump.until("the rest", |pump| pump.received(modest.key).len() == 10_000);
    sender.join().unwrap();
}

/// We do not read, so it is not the peer that is silent.
#[test]
fn the_read_timeout_stands_still_while_reading_is_paused() {
    for (limits, stuck) in [
        (LIMITS, false),
        (
            Limits {
                read: 256 * 1024,
                memory: 32 * 1024,
            },
            true,
        ),
    ] {
        let mut pump = Pump::with(limits, 0);
        let bytes = pattern(4 << 20);
        let (link, peer) = pump.pair(support::read_timeout(Duration::from_millis(250)));
        if stuck {
            pump.stuck = true;
        } else {
            pump.holding.push(link.key);
        }
        let sender = send(peer, bytes);
        pump.until("a limit", |pump| {
            pump.hub.inbox.memory.unread() >= limits.memory || link.bytes_received() >= 256 * 1024
        });
        pump.during(Duration::from_millis(500));
        assert!(
            !pump.was_told(link.key, "failed"),
            "{:?}",
            pump.failure(link.key)
        );
        pump.unstick();
        pump.until("all", |pump| {
            if !stuck {
                pump.deliver(link.key, usize::MAX);
            }
            pump.was_told(link.key, "eof") || pump.was_told(link.key, "failed")
        });
        assert!(pump.was_told(link.key, "eof"));
        sender.join().unwrap();
    }
}

#[test]
fn while_reading_is_disabled_nothing_comes_and_afterwards_all() {
    let mut pump = Pump::new();
    let (link, mut peer) = pump.pair(support::read_timeout(Duration::from_millis(100)));
    link.set_reading(&pump.hub, false);
    pump.turn(Wait::No);
    peer.write_all(&pattern(1000)).unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    pump.during(Duration::from_millis(250));
    assert_eq!(
        pump.story(link.key),
        ["accepted"],
        "data, an end or the timeout came"
    );
    link.set_reading(&pump.hub, true);
    pump.until_told(link.key, "eof");
    assert_eq!(pump.received(link.key), pattern(1000));
}

#[test]
fn while_reading_is_disabled_a_reset_without_data_is_told_at_once() {
    let mut pump = Pump::new();
    let (link, peer) = pump.pair(Timeouts::default());
    link.set_reading(&pump.hub, false);
    pump.turn(Wait::No);
    reset(peer);
    pump.until_told(link.key, "gone");
    assert_eq!(pump.failure(link.key).unwrap().code(), libc::ECONNRESET);
}

#[test]
fn while_reading_is_disabled_a_reset_after_data_waits_for_it() {
    let mut pump = Pump::new();
    let (link, mut peer) = pump.pair(Timeouts::default());
    link.set_reading(&pump.hub, false);
    pump.turn(Wait::No);
    peer.write_all(&pattern(1000)).unwrap();
    reset(peer);
    pump.during(LONG_ENOUGH);
    assert_eq!(pump.story(link.key), ["accepted"]);
    link.set_reading(&pump.hub, true);
    pump.until_told(link.key, "gone");
    assert_eq!(pump.story(link.key), ["accepted", "data", "failed", "gone"]);
    assert_eq!(pump.received(link.key), pattern(1000));
    assert_eq!(pump.failure(link.key).unwrap().code(), libc::ECONNRESET);
}

#[test]
fn while_reading_is_disabled_a_write_that_meets_a_reset_tells_it_at_once() {
    let mut pump = Pump::new();
    let (link, mut peer) = pump.pair(Timeouts::default());
    link.set_reading(&pump.hub, false);
    pump.turn(Wait::No);
    peer.write_all(&pattern(1000)).unwrap();
    reset(peer);
    pump.during(LONG_ENOUGH);
    pump.write(&link, b"x");
    pump.until_told(link.key, "gone");
    assert!(
        matches!(pump.failure(link.key), Some(Failure::Sending(_))),
        "{:?}",
        pump.failure(link.key)
    );
}

/// The send takes the reset out of the kernel, which then tells the reader no more than an end.
#[test]
fn a_reset_that_a_write_met_while_reading_was_paused_is_no_end_of_stream() {
    let mut pump = Pump::new();
    let (link, mut peer) = pump.pair(Timeouts::default());
    pump.holding.push(link.key);
    let total = LIMITS.read + 30_000;
    peer.write_all(&pattern(total)).unwrap();
    pump.until("the limit", |pump| {
        pump.received(link.key).len() == LIMITS.read
    });
    reset(peer);
    pump.until("the reset is met", |pump| {
        matches!(pump.write(&link, b"x"), Flush::Failed)
    });
    pump.during(Duration::from_millis(5));
    pump.holding.clear();
    pump.deliver(link.key, usize::MAX);
    pump.until_told(link.key, "gone");
    // What had not left the peer is lost with the reset.
    let received = pump.received(link.key);
    assert!(received.len() >= LIMITS.read && pattern(total).starts_with(received));
    assert_eq!(pump.story(link.key), ["accepted", "data", "failed", "gone"]);
}

#[test]
fn while_writing_is_disabled_bytes_are_kept_and_the_write_timeout_stands_still() {
    let mut pump = Pump::new();
    let (link, mut peer) = pump.pair(support::write_timeout(Duration::from_millis(100)));
    link.set_writing(&pump.hub, false);
    pump.write(&link, b"kept");
    pump.during(Duration::from_millis(250));
    assert_eq!(
        (link.write_buffer_size(), pump.story(link.key)),
        (4, vec!["accepted"])
    );
    peer.set_nonblocking(true).unwrap();
    assert!(peer.read(&mut [0; 8]).is_err(), "it was sent");
    peer.set_nonblocking(false).unwrap();
    link.set_writing(&pump.hub, true);
    pump.flush(&link);
    pump.until("sent", |_| link.nothing_to_send());
    let mut got = [0; 4];
    peer.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"kept");
}

/// As above, but the kernel's buffer was full when it was disabled.
#[test]
fn disabling_writing_while_the_kernel_is_full_stops_the_write_timeout_too() {
    let mut pump = Pump::new();
    let (link, mut peer) = pump.pair(support::write_timeout(Duration::from_millis(150)));
    let sent = pattern(32 << 20);
    pump.write(&link, &sent);
    // The task meets the full kernel as well, and waits for room.
    pump.during(Duration::from_millis(20));
    assert!(link.write_buffer_size() > 0);
    link.set_writing(&pump.hub, false);
    pump.during(Duration::from_millis(400));
    assert_eq!(pump.story(link.key), ["accepted"]);
    link.set_writing(&pump.hub, true);
    pump.flush(&link);
    link.shutdown_write();
    pump.flush(&link);
    let reader = thread::spawn(move || {
        let mut got = Vec::new();
        peer.read_to_end(&mut got).unwrap();
        got
    });
    pump.until("sent", |pump| {
        link.nothing_to_send() || pump.was_told(link.key, "gone")
    });
    assert!(reader.join().unwrap() == sent);
}

/// A loop's close may come while writing is disabled; what was written still goes out.
#[test]
fn a_close_while_writing_is_disabled_sends_what_was_kept() {
    let mut pump = Pump::new();
    let (link, mut peer) = pump.pair(Timeouts::default());
    link.set_writing(&pump.hub, false);
    pump.write(&link, b"kept");
    link.close(&pump.hub, false);
    pump.until_told(link.key, "gone");
    let mut got = Vec::new();
    peer.read_to_end(&mut got).unwrap();
    assert_eq!(got, b"kept");
}

#[test]
fn the_write_buffer_is_full_once_and_drained_once() {
    let mut pump = Pump::new();
    let (link, mut peer) = pump.pair(Timeouts::default());
    link.set_wants_flushed(true);
    link.set_marks(Marks {
        high: 1 << 20,
        low: 64 * 1024,
    });
    let total = 48 << 20;
    assert!(matches!(
        pump.write(&link, &pattern(total)),
        Flush::Blocked | Flush::Nothing
    ));
    pump.during(Duration::from_millis(20));
    assert!(pump.was_told(link.key, "full") && !pump.was_told(link.key, "drained"));
    let reader = thread::spawn(move || {
        let mut got = vec![0; total];
        peer.read_exact(&mut got).unwrap();
        peer
    });
    pump.until_told(link.key, "flushed");
    drop(reader.join().unwrap());
    let words = pump.story(link.key);
    let levels: Vec<_> = words
        .iter()
        .filter(|word| ["full", "drained"].contains(word))
        .collect();
    assert_eq!(levels, [&"full", &"drained"], "{words:?}");
}
