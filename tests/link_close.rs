//! How connections end: by the peer's FIN or reset, by our close, by force.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use asynctcp::io::conn::link::Link;
use asynctcp::io::conn::link::Timeouts;
use asynctcp::io::conn::outcome::{Flush, Staged};
use asynctcp::io::failure::Failure;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};
use support::{Pump, pattern, reset};

#[test]
fn eof_comes_after_all_data_and_nothing_after_gone() {
    let mut pump = Pump::new();
    let (link, mut peer) = pump.pair(Timeouts::default());
    peer.write_all(&pattern(100_000)).unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    pump.until_told(link.key, "eof");
    link.close(&pump.hub, false);
    pump.until_told(link.key, "gone");
    pump.during(Duration::from_millis(20));
    assert_eq!(pump.story(link.key), ["accepted", "data", "eof", "gone"]);
    assert_eq!(pump.received(link.key), pattern(100_000));
}

#[test]
fn a_reset_comes_after_all_data_that_was_received() {
    let mut pump = Pump::new();
    let (link, mut peer) = pump.pair(Timeouts::default());
    peer.write_all(&pattern(100_000)).unwrap();
    reset(peer);
    pump.until_told(link.key, "gone");
    assert_eq!(pump.story(link.key), ["accepted", "data", "failed", "gone"]);
    assert_eq!(pump.received(link.key), pattern(100_000));
    assert_eq!(pump.failure(link.key).unwrap().code(), libc::ECONNRESET);
}

/// The write takes the error from the kernel, so the read that follows finds no more than an end.
#[test]
fn a_reset_that_a_write_meets_is_told_as_a_reset() {
    for _ in 0..30 {
        let mut pump = Pump::new();
        let (link, peer) = pump.pair(Timeouts::default());
        pump.write(&link, b"warm");
        pump.until("sent", |_| link.nothing_to_send());
        pump.during(Duration::from_millis(1));
        reset(peer);
        pump.write(&link, b"x");
        pump.until_told(link.key, "gone");
        assert_eq!(pump.story(link.key), ["accepted", "failed", "gone"]);
        assert_eq!(pump.failure(link.key).unwrap().code(), libc::ECONNRESET);
    }
}

/// A server that answers early and closes: its answer is worth more than the news that it took no more.
#[test]
fn what_came_before_a_reset_that_a_write_meets_is_told_first() {
    for _ in 0..30 {
        let mut pump = Pump::new();
        let (link, mut peer) = pump.pair(Timeouts::default());
        pump.during(Duration::from_millis(1));
        peer.write_all(&pattern(1000)).unwrap();
        reset(peer);
        pump.write(&link, b"x");
        pump.until_told(link.key, "gone");
        assert_eq!(pump.story(link.key), ["accepted", "data", "failed", "gone"]);
        assert_eq!(pump.failure(link.key).unwrap().code(), libc::ECONNRESET);
        assert_eq!(pump.received(link.key), pattern(1000));
    }
}

/// Linux calls a reset that comes after a FIN a broken pipe.
#[test]
fn a_write_that_fails_before_the_end_of_the_stream_is_read_is_told_after_it() {
    for _ in 0..30 {
        let mut pump = Pump::new();
        let (link, mut peer) = pump.pair(Timeouts::default());
        pump.during(Duration::from_millis(1));
        peer.write_all(&pattern(1000)).unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        reset(peer);
        assert!(matches!(pump.write(&link, b"x"), Flush::Failed));
        pump.until_told(link.key, "gone");
        assert_eq!(
            pump.story(link.key),
            ["accepted", "data", "eof", "failed", "gone"]
        );
        assert_eq!(pump.failure(link.key).unwrap().code(), libc::EPIPE);
    }
}

/// With half-open connections nothing else would tell that this one is over.
#[test]
fn a_reset_after_the_end_of_the_stream_is_told() {
    let mut pump = Pump::new();
    let (link, peer) = pump.pair(Timeouts::default());
    peer.shutdown(Shutdown::Write).unwrap();
    pump.until_told(link.key, "eof");
    reset(peer);
    pump.until_told(link.key, "gone");
    assert_eq!(pump.story(link.key), ["accepted", "eof", "failed", "gone"]);
    assert_eq!(pump.failure(link.key).unwrap().code(), libc::EPIPE);
}

#[test]
fn a_close_flushes_4_mib_to_a_slow_reader_although_input_was_not_read() {
    let mut pump = Pump::new();
    let (link, mut peer) = pump.pair(Timeouts::default());
    link.set_reading(&pump.hub, false);
    pump.turn(asynctcp::io::runtime::driver::Wait::No);
    peer.write_all(&pattern(50_000)).unwrap();
    let sent = pattern(4 << 20);
    pump.write(&link, &sent);
    link.close(&pump.hub, false);
    let reader = thread::spawn(move || {
        let mut got = Vec::new();
        let mut piece = [0; 16 * 1024];
        loop {
            match peer.read(&mut piece).unwrap() {
                0 => return got,
                count => got.extend_from_slice(&piece[..count]),
            }
            // A slow reader, not a wait.
            thread::sleep(Duration::from_micros(300));
        }
    });
    pump.until_told(link.key, "gone");
    assert!(
        reader.join().unwrap() == sent,
        "the peer got something else"
    );
    assert_eq!(pump.story(link.key), ["accepted", "gone"]);
    assert_eq!(pump.hub.keys.alive(), 1 - 1);
}

/// A peer that reads only after it has written all: its bytes must be taken away although nobody wants them, and the
/// descriptor must stay until the peer has the answer.
#[test]
fn a_close_takes_input_away_until_the_peer_has_all() {
    for answer in [2 << 20, 16 << 20] {
        let mut pump = Pump::new();
        let (link, mut peer) = pump.pair(Timeouts::default());
        let sent = pattern(answer);
        let client = thread::spawn(move || {
            peer.write_all(&pattern(48 << 20)).unwrap();
            let mut got = Vec::new();
            peer.read_to_end(&mut got).unwrap();
            got
        });
        pump.until("a request", |pump| !pump.received(link.key).is_empty());
        pump.write(&link, &sent);
        link.close(&pump.hub, false);
        pump.until_told(link.key, "gone");
        assert!(
            client.join().unwrap() == sent,
            "the peer got something else"
        );
    }
}

#[test]
fn a_close_with_nothing_to_send_ends_at_once() {
    let mut pump = Pump::new();
    let (link, mut peer) = pump.pair(Timeouts::default());
    let begun = Instant::now();
    link.close(&pump.hub, false);
    pump.until_told(link.key, "gone");
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "it waited for the peer"
    );
    assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
}

#[test]
fn force_resets_and_drops_what_waits() {
    let mut pump = Pump::new();
    let (link, mut peer) = pump.pair(Timeouts::default());
    pump.write(&link, &pattern(32 << 20));
    assert!(link.write_buffer_size() > 0, "the kernel took all");
    link.close(&pump.hub, true);
    pump.until_told(link.key, "gone");
    assert_eq!(link.write_buffer_size(), 0);
    let mut got = Vec::new();
    assert_eq!(
        peer.read_to_end(&mut got).unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    assert_eq!(link.stage(b"x"), Staged::Broken);
    assert_eq!(pump.story(link.key), ["accepted", "gone"]);
}

#[test]
fn a_peer_that_never_reads_is_given_up_after_the_write_timeout() {
    let mut pump = Pump::new();
    let (link, peer) = pump.pair(support::write_timeout(Duration::from_millis(300)));
    let begun = Instant::now();
    pump.write(&link, &pattern(32 << 20));
    pump.until_told(link.key, "gone");
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert!(
        matches!(pump.failure(link.key), Some(Failure::Stalled(_))),
        "{:?}",
        pump.told
    );
    drop(peer);
}

#[test]
fn a_close_is_given_up_after_the_write_timeout_without_progress() {
    let mut pump = Pump::new();
    let (link, mut peer) = pump.pair(support::write_timeout(Duration::from_millis(300)));
    pump.write(&link, &pattern(32 << 20));
    link.close(&pump.hub, false);
    pump.until_told(link.key, "gone");
    assert_eq!(pump.story(link.key), ["accepted", "gone"]);
    let mut got = Vec::new();
    assert_eq!(
        peer.read_to_end(&mut got).unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
}

#[test]
fn a_peer_that_reads_slowly_is_not_given_up() {
    let mut pump = Pump::new();
    let (link, mut peer) = pump.pair(support::write_timeout(Duration::from_millis(400)));
    let total = 12 << 20;
    pump.write(&link, &pattern(total));
    let reader = thread::spawn(move || {
        // Ten pieces, each well within the timeout; all of them well beyond it.
        let mut piece = vec![0; total / 10];
        for _ in 0..10 {
            thread::sleep(Duration::from_millis(80));
            peer.read_exact(&mut piece).unwrap();
        }
    });
    pump.until("all sent", |pump| {
        link.nothing_to_send() || pump.was_told(link.key, "gone")
    });
    reader.join().unwrap();
    assert_eq!(pump.story(link.key), ["accepted"]);
}

#[test]
fn a_half_close_sends_all_then_a_fin_and_goes_on_receiving() {
    let mut pump = Pump::new();
    let (link, mut peer) = pump.pair(Timeouts::default());
    let sent = pattern(8 << 20);
    pump.write(&link, &sent);
    link.shutdown_write();
    pump.flush(&link);
    assert_eq!(link.stage(b"late"), Staged::Shut);
    let reader = thread::spawn(move || {
        let mut got = Vec::new();
        peer.read_to_end(&mut got).unwrap();
        peer.write_all(b"answer").unwrap();
        got
    });
    pump.until_told(link.key, "eof");
    assert!(reader.join().unwrap() == sent);
    assert_eq!(pump.received(link.key), b"answer");
    assert_eq!(pump.story(link.key), ["accepted", "data", "eof"]);
}

/// `write_cb` never runs for a connection on which nothing was written.
#[test]
fn a_half_close_alone_is_no_flush() {
    let mut pump = Pump::new();
    let (link, mut peer) = pump.pair(Timeouts::default());
    pump.during(Duration::from_millis(5));
    link.set_wants_flushed(true);
    link.shutdown_write();
    assert!(!matches!(pump.flush(&link), Flush::Done));
    assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
    assert!(!pump.was_told(link.key, "flushed"));
}

#[test]
fn an_idle_connection_meets_its_read_timeout() {
    let mut pump = Pump::new();
    let (link, mut peer) = pump.pair(support::read_timeout(Duration::from_millis(150)));
    let begun = Instant::now();
    peer.write_all(b"x").unwrap();
    pump.until_told(link.key, "gone");
    assert!(begun.elapsed() >= Duration::from_millis(150));
    assert!(matches!(pump.failure(link.key), Some(Failure::Timeout(_))));
    assert_eq!(pump.story(link.key), ["accepted", "data", "failed", "gone"]);
}

#[test]
fn an_abandoned_connection_that_never_was_keeps_nothing_and_takes_nothing() {
    let pump = Pump::new();
    let link = Link::connecting(pump.hub.keys.new_key(), Timeouts::default());
    assert_eq!(link.stage(b"never sent"), Staged::Yes { list: true });
    assert_eq!(link.write_buffer_size(), 10);
    link.abandon();
    assert_eq!(link.write_buffer_size(), 0);
    assert_eq!(link.stage(b"too late"), Staged::Broken);
}
