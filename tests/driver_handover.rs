//! Who drives when: the pump while it is there, the helper while it is away.
//!
//! The tests look at threads, of which the process has more while others run: one at a time.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use asynctcp::io::conn::link::Timeouts;
use asynctcp::io::event::Event;
use asynctcp::io::inbox::queue::Batch;
use asynctcp::io::runtime::driver::Wait;
use asynctcp::io::runtime::handover::Handover;
use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};
use support::{Pump, alone, pattern, threads_named, wait_for};

/// Times that the helper was switched to; there must be one helper only.
fn switches_of_the_helper() -> u64 {
    let mut ids = Vec::new();
    // A new thread gives itself its name.
    wait_for("one helper", || {
        ids = threads_named("asynctcp-helper");
        ids.len() == 1
    });
    let status = std::fs::read_to_string(format!("/proc/self/task/{}/status", ids[0])).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("voluntary_ctxt_switches"))
        .unwrap();
    line.split_whitespace().last().unwrap().parse().unwrap()
}

#[test]
fn the_helper_receives_while_the_pump_is_away() {
    let _alone = alone();
    let mut pump = Pump::new();
    let (link, mut peer) = pump.pair(Timeouts::default());
    peer.write_all(&pattern(1000)).unwrap();
    // Nobody calls drive.
    wait_for("the helper", || pump.hub.reactor.handover.helper_drives());
    wait_for("data", || pump.hub.inbox.queue.sizes().1 == 1000);
    pump.collect();
    assert_eq!(pump.received(link.key), pattern(1000));
}

#[test]
fn the_helper_sends_what_blocked_before_the_pump_went_away() {
    let _alone = alone();
    let mut pump = Pump::new();
    let (link, mut peer) = pump.pair(Timeouts::default());
    let sent = pattern(32 << 20);
    pump.write(&link, &sent);
    assert!(link.write_buffer_size() > 0, "the kernel took all");
    let mut got = vec![0; sent.len()];
    peer.read_exact(&mut got).unwrap();
    assert!(got == sent);
    wait_for("nothing left", || link.nothing_to_send());
}

#[test]
fn commands_that_come_while_the_helper_drives_are_run() {
    let _alone = alone();
    let mut pump = Pump::new();
    let (link, mut peer) = pump.pair(Timeouts::default());
    wait_for("the helper", || pump.hub.reactor.handover.helper_drives());
    link.close(&pump.hub, false);
    pump.hub.reactor.kick_helper();
    assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
    let closed = pump.connect(
        asynctcp::io::setup::connect::Host::Address("127.0.0.1:1".parse().unwrap()),
        Timeouts::default(),
    );
    pump.hub.reactor.kick_helper();
    wait_for("both are gone", || {
        pump.collect();
        pump.was_told(link.key, "gone") && pump.was_told(closed.key, "gone")
    });
}

#[test]
fn the_helper_gives_back_when_the_pump_returns() {
    let _alone = alone();
    let mut pump = Pump::new();
    let (link, mut peer) = pump.pair(Timeouts::default());
    for round in 1..=20 {
        wait_for("the helper", || pump.hub.reactor.handover.helper_drives());
        let begun = Instant::now();
        peer.write_all(b"x").unwrap();
        pump.until("a byte", |pump| pump.received(link.key).len() == round);
        pump.turn(Wait::No);
        assert!(
            !pump.hub.reactor.handover.helper_drives()
                || begun.elapsed() > Duration::from_millis(5)
        );
    }
}

/// Each absence is noticed, however the last one ended: the helper must never stop looking.
#[test]
fn the_helper_comes_again_after_any_pattern_of_turns() {
    let _alone = alone();
    let mut pump = Pump::new();
    let (_link, _peer) = pump.pair(Timeouts::default());
    let mut dice = support::Dice(7);
    for round in 0..150 {
        // Until the helper drives, or just about when it looks.
        if round % 3 == 0 {
            wait_for("the helper", || pump.hub.reactor.handover.helper_drives());
        } else {
            let away = Instant::now();
            while away.elapsed() < Duration::from_micros(4_800 + 40 * dice.below(20) as u64) {
                std::hint::spin_loop();
            }
        }
        for _ in 0..dice.below(4) {
            pump.turn(Wait::No);
        }
    }
    wait_for("the helper", || pump.hub.reactor.handover.helper_drives());
}

/// A program that answers a message now and then must not pay for a thread that looks whether it is busy.
#[test]
fn a_quiet_program_does_not_wake_the_helper() {
    let _alone = alone();
    let mut pump = Pump::new();
    let (link, mut peer) = pump.pair(Timeouts::default());
    pump.echoes = true;
    // The helper has seen that the pump is there and has gone to sleep.
    pump.during(Duration::from_millis(50));
    let (before, calm) = (switches_of_the_helper(), Instant::now());
    let mut hurried = 0;
    for round in 1..=100 {
        peer.write_all(b"x").unwrap();
        let away = Instant::now();
        pump.until("a byte", |pump| pump.received(link.key).len() == round);
        // On a loaded machine the pump itself may have been away for long.
        hurried += u64::from(away.elapsed() > Duration::from_millis(4));
        pump.during(Duration::from_millis(2));
    }
    assert!(calm.elapsed() > Duration::from_millis(200));
    let switches = switches_of_the_helper() - before;
    // Each drive of `during` and `until` is a turn, and one turn in 64 lets the helper look, twice. One that looks all
    // the time does so every 5 ms: 40 times at least.
    assert!(
        switches <= 20 + 2 * hurried,
        "{switches} switches, {hurried} of 100 rounds were held up"
    );
}

/// The pump of a busy program is spared the two system calls that set and clear the alarm in each turn.
#[test]
fn a_busy_program_makes_the_helper_look_by_itself() {
    let _alone = alone();
    let mut pump = Pump::new();
    let before = switches_of_the_helper();
    pump.until("the helper looks every 5 ms", |pump| {
        for _ in 0..20 {
            pump.turn(Wait::No);
        }
        switches_of_the_helper() - before > 40
    });
}

#[test]
fn a_deadline_without_events_ends_the_drive() {
    let _alone = alone();
    let mut pump = Pump::new();
    let begun = Instant::now();
    pump.turn(Wait::Until(begun + Duration::from_millis(30)));
    assert!(begun.elapsed() >= Duration::from_millis(30));
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(pump.told.is_empty());
}

/// The first learns from the kernel that there is something, the second does it.
#[test]
fn two_drives_without_waiting_collect_what_is_there() {
    let _alone = alone();
    let mut pump = Pump::new();
    let (link, mut peer) = pump.pair(Timeouts::default());
    pump.during(Duration::from_millis(5));
    peer.write_all(b"x").unwrap();
    pump.turn(Wait::No);
    pump.turn(Wait::No);
    assert_eq!(pump.received(link.key), b"x");
}

#[test]
fn another_threads_event_ends_a_drive_that_waits_for_ever() {
    let _alone = alone();
    let mut pump = Pump::new();
    let hub = pump.hub.clone();
    let nudge = thread::spawn(move || {
        // So that the drive waits already; were it not so, the event would only be found sooner.
        thread::sleep(Duration::from_millis(20));
        hub.inbox.push_urgent(asynctcp::io::event::Event::Nudge);
    });
    pump.turn(Wait::Forever);
    nudge.join().unwrap();
    let mut batch = Batch::default();
    pump.hub.inbox.queue.swap(&mut batch);
    assert!(batch.is_empty());
}

#[test]
fn turns_are_counted() {
    let handover = Handover::default();
    let first = handover.observe();
    for _ in 0..3 {
        handover.enter();
        handover.leave();
    }
    assert_eq!(Handover::turns_between(first, handover.observe()), 3);
    assert!(Handover::is_away(handover.observe()));
}

/// Something is queued whenever the pump begins to wait, as when another thread posts without end.
#[test]
fn commands_and_io_have_their_turn_although_the_queue_is_never_empty() {
    let _alone = alone();
    let mut pump = Pump::new();
    let (link, mut peer) = pump.pair(Timeouts::default());
    // Starved of turns in the runtime, all of this takes seconds.
    let end = Instant::now() + Duration::from_secs(1);
    let until = |pump: &mut Pump, what, done: &dyn Fn(&Pump) -> bool| {
        for wait in [Wait::Until(end), Wait::Forever].into_iter().cycle() {
            if done(pump) {
                return;
            }
            assert!(Instant::now() < end, "never: {what}");
            pump.hub.inbox.push_urgent(Event::Nudge);
            pump.turn(wait);
        }
    };
    peer.write_all(b"hello").unwrap();
    until(&mut pump, "data", &|pump| {
        pump.received(link.key) == b"hello"
    });
    link.close(&pump.hub, false);
    until(&mut pump, "gone", &|pump| pump.was_told(link.key, "gone"));
}

#[test]
fn spinning_wait_without_an_event_ends_at_its_time() {
    let _alone = alone();
    let mut pump = Pump::new();
    let until = Instant::now() + Duration::from_millis(5);
    pump.turn(Wait::Spin(until));
    assert!(Instant::now() >= until && pump.told.is_empty());
}
