//! The end of a loop: threads, descriptors and what every task still says.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use asynctcp::io::conn::link::Timeouts;
use asynctcp::io::setup::listener::Options;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{LIMITS, Pump, alone, open_descriptors, pattern, threads_named, wait_for};

/// A loop with a listener, idle and busy connections and an attempt, stopped in the middle.
fn stop_a_busy_loop(io_threads: usize, helper_drives: bool) {
    let before = open_descriptors();
    let mut pump = Pump::with(LIMITS, io_threads);
    let (listener, address) = pump.listen(Options::default());
    let (idle, mut peer) = pump.accept_one(address);
    let (busy, slow) = pump.accept_one(address);
    pump.write(&busy, &pattern(16 << 20));
    busy.close(&pump.hub, false);
    if helper_drives {
        wait_for("the helper", || pump.hub.reactor.handover.helper_drives());
    }
    pump.stop();
    // Threads of a multi-thread runtime drop the tasks in the background.
    wait_for("all tasks ended", || pump.hub.keys.alive() == 0);
    wait_for("the threads ended", || {
        threads_named("asynctcp-io").is_empty()
    });
    assert!(
        threads_named("asynctcp-helper").is_empty(),
        "the helper lives on"
    );
    pump.collect();
    for key in [listener.key, idle.key, busy.key] {
        assert_eq!(pump.story(key).last(), Some(&"gone"));
    }
    assert_eq!(
        peer.read(&mut [0; 8]).unwrap(),
        0,
        "the peer of an idle connection sees its end"
    );
    drop((peer, slow, listener));
    let hub = Arc::downgrade(&pump.hub);
    drop((pump, idle, busy));
    wait_for("the descriptors are closed", || {
        open_descriptors() == before
    });
    wait_for("the hub is freed", || hub.upgrade().is_none());
}

#[test]
fn stopping_ends_threads_and_descriptors() {
    let _alone = alone();
    stop_a_busy_loop(0, false);
}

#[test]
fn stopping_recalls_a_helper_that_drives() {
    let _alone = alone();
    stop_a_busy_loop(0, true);
}

#[test]
fn stopping_ends_the_threads_of_a_runtime_that_has_its_own() {
    let _alone = alone();
    stop_a_busy_loop(2, false);
}

#[test]
fn fifty_loops_in_a_row_leave_nothing() {
    let _alone = alone();
    let before = open_descriptors();
    let begun = Instant::now();
    for round in 0..50 {
        let mut pump = Pump::new();
        if round % 2 == 0 {
            let (link, peer) = pump.pair(Timeouts::default());
            drop(peer);
            pump.until_told(link.key, "eof");
        }
        pump.stop();
    }
    assert_eq!(open_descriptors(), before);
    assert!(threads_named("asynctcp-helper").is_empty());
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "a stop waits for something"
    );
}
