//! Transfers while the calls that send and receive fail at random: all bytes arrive, or one error is told.
//!
//! `ASYNCTCP_TRANSFERS` sets how many; each has its own seed, which a failure names.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use asynctcp::io::conn::link::{Link, Timeouts};
use asynctcp::io::failure::Failure;
use asynctcp::io::runtime::driver::Wait;
use asynctcp::io::setup::connect::Host;
use asynctcp::io::setup::listener::Options;
use asynctcp::io::sys::faults::{Odds, follow};
use std::net::SocketAddr;
use std::sync::Arc;
use support::{Dice, Pump, alone};

/// Faults that the kernel expects everybody to live with.
const HARMLESS: Odds = Odds {
    short: 2000,
    again: 1500,
    interrupted: 1500,
    reset: 0,
    broken_pipe: 0,
    no_buffers: 0,
    panic: 0,
};
/// And some that end a connection.
const FATAL: Odds = Odds {
    reset: 60,
    broken_pipe: 60,
    no_buffers: 60,
    ..HARMLESS
};

fn transfers(default: u64) -> u64 {
    std::env::var("ASYNCTCP_TRANSFERS").map_or(default, |text| text.parse().unwrap())
}

/// One connection, both of its ends in one pump: each end sends `sent`, then a FIN.
struct Transfer {
    ends: [Arc<Link>; 2],
    sent: [Vec<u8>; 2],
}

impl Transfer {
    fn begin(pump: &mut Pump, address: SocketAddr, dice: &mut Dice) -> Self {
        let before = pump.told.len();
        let ours = pump.connect(Host::Address(address), Timeouts::default());
        let mut theirs = None;
        pump.until("accepted", |pump| {
            let accepted = pump.told[before..]
                .iter()
                .find(|told| told.word() == "accepted");
            theirs = accepted.map(|told| told.key());
            theirs.is_some() && pump.was_told(ours.key, "connected")
        });
        let theirs = pump.links[&theirs.unwrap()].clone();
        let sent = [0, 1].map(|_| bytes(dice));
        Self {
            ends: [ours, theirs],
            sent,
        }
    }

    /// Writes in pieces of random sizes, with turns in between.
    fn write(&self, pump: &mut Pump, dice: &mut Dice) {
        let mut at = [0; 2];
        while at != [self.sent[0].len(), self.sent[1].len()] {
            let end = dice.below(2);
            let rest = &self.sent[end][at[end]..];
            let piece = &rest[..(1 + dice.below(60_000)).min(rest.len())];
            at[end] += piece.len();
            // A broken connection takes no more; its failure is looked at later.
            pump.write(&self.ends[end], piece);
            if dice.below(3) == 0 {
                pump.turn(Wait::No);
            }
        }
        for end in &self.ends {
            end.shutdown_write();
            pump.flush(end);
        }
    }

    /// Both ends have heard the last of each other.
    fn finish(&self, pump: &mut Pump) {
        for end in &self.ends {
            pump.until("the end of the stream", |pump| is_over(pump, end));
            end.close(&pump.hub, false);
        }
        for end in &self.ends {
            pump.until_told(end.key, "gone");
        }
    }

    /// Exact bytes in both directions, or one error at each end that did not get or send all.
    fn check(&self, pump: &Pump, seed: u64) -> bool {
        let failed = self
            .ends
            .each_ref()
            .map(|end| pump.failure(end.key).is_some());
        for (at, end) in self.ends.iter().enumerate() {
            let story = pump.story(end.key);
            assert!(
                count(&story, "failed") <= 1 && count(&story, "eof") <= 1,
                "seed {seed}: {story:?}"
            );
            assert_eq!(story.last(), Some(&"gone"), "seed {seed}: {story:?}");
            let (got, whole) = (pump.received(end.key), &self.sent[1 - at]);
            assert!(whole.starts_with(got), "seed {seed}: the bytes differ");
            let all = got.len() == whole.len();
            let told = count(&story, "eof") == 1 || count(&story, "failed") == 1;
            assert!(told, "seed {seed}: no end was told: {story:?}");
            // A clean end of stream may not hide that bytes are missing.
            assert!(
                all || failed[at],
                "seed {seed}: {} of {} bytes and no error: {story:?}",
                got.len(),
                whole.len()
            );
        }
        failed.contains(&true)
    }
}

fn bytes(dice: &mut Dice) -> Vec<u8> {
    let len = [1, 1000, 70_000, 300_000][dice.below(4)];
    let first = dice.below(251);
    (0..=dice.below(len))
        .map(|at| ((first + at) % 251) as u8)
        .collect()
}

fn count(story: &[&str], word: &str) -> usize {
    story.iter().filter(|told| **told == word).count()
}

fn is_over(pump: &Pump, end: &Link) -> bool {
    pump.was_told(end.key, "eof") || pump.was_told(end.key, "gone")
}

/// Runs `count` transfers at these odds; returns how many ended with an error, and the faults injected.
fn run(first_seed: u64, count: u64, odds: Odds) -> (u64, u64) {
    let (mut failed, mut injected) = (0, 0);
    let mut pump = Pump::new();
    let (_listener, address) = pump.listen(Options::default());
    for seed in first_seed..first_seed + count {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let transfer = Transfer::begin(&mut pump, address, &mut dice);
        let plan = follow(dice.0, odds);
        transfer.write(&mut pump, &mut dice);
        transfer.finish(&mut pump);
        failed += u64::from(transfer.check(&pump, seed));
        injected += plan.injected();
        pump.told.clear();
        pump.links.clear();
        pump.received.clear();
    }
    (failed, injected)
}

#[test]
fn short_and_interrupted_calls_lose_no_byte() {
    let _alone = alone();
    let n = transfers(200);
    let (failed, injected) = run(1, n, HARMLESS);
    println!("{n} transfers, {injected} harmless faults: {failed} errors");
    assert_eq!(failed, 0);
    assert!(injected > n, "the calls do not pass the seam");
}

#[test]
fn a_fatal_fault_is_one_error_and_never_a_clean_end_of_a_cut_stream() {
    let _alone = alone();
    let n = transfers(200);
    let (failed, injected) = run(1 << 32, n, FATAL);
    println!(
        "{n} transfers, {injected} faults: {failed} ended with errors, {} with all bytes",
        n - failed
    );
    assert!(failed > 0 && failed < n, "{failed} of {n} failed");
}

#[test]
fn a_panic_in_a_connections_task_is_one_failure_and_the_others_live() {
    let _alone = alone();
    let mut pump = Pump::new();
    let (listener, address) = pump.listen(Options::default());
    let mut pairs: Vec<_> = (0..20).map(|_| pump.accept_one(address)).collect();
    let (victim, mut peer) = pairs.swap_remove(7);
    let before = pump.hub.keys.alive();

    let plan = follow(
        1,
        Odds {
            panic: 10_000,
            ..Odds::default()
        },
    );
    std::io::Write::write_all(&mut peer, b"strike").unwrap();
    pump.until_told(victim.key, "gone");
    drop(plan);

    assert_eq!(pump.story(victim.key), ["accepted", "failed", "gone"]);
    assert!(matches!(pump.failure(victim.key), Some(Failure::Panic(_))));
    assert_eq!((pump.hub.keys.alive(), listener.open()), (before - 1, 19));
    let end = std::io::Read::read(&mut peer, &mut [0; 16]);
    assert!(
        matches!(end, Ok(0))
            || end.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset)
    );
    pump.echoes = true;
    for (_, peer) in &mut pairs {
        std::io::Write::write_all(peer, b"hello").unwrap();
    }
    pump.until("all of the others' data", |pump| pump.received.len() == 19);
    for (_, peer) in &mut pairs {
        let mut got = [0; 5];
        std::io::Read::read_exact(peer, &mut got).unwrap();
        assert_eq!(&got, b"hello");
    }
    println!(
        "1 panic: 1 failure told, 1 connection closed, {} others echo",
        pairs.len()
    );
}
