//! Bytes go through a connection whole and in order, and so do the events.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use asynctcp::io::conn::link::Timeouts;
use asynctcp::io::setup::connect::Host;
use asynctcp::io::setup::listener::Options;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::thread;
use support::{Dice, Pump, pattern};

/// A peer writes `total` bytes in random pieces and reads as many back.
fn echo_of_random_sizes(mut pump: Pump, seed: u64, largest: usize, total: usize) {
    pump.echoes = true;
    let (link, peer) = pump.pair(Timeouts::default());
    let sent = pattern(total);
    let writer = {
        let (mut peer, sent) = (peer.try_clone().unwrap(), sent.clone());
        thread::spawn(move || {
            let mut dice = Dice(seed);
            let mut rest = &sent[..];
            while !rest.is_empty() {
                let (now, later) = rest.split_at((1 + dice.below(largest)).min(rest.len()));
                peer.write_all(now).unwrap();
                rest = later;
            }
            peer.shutdown(Shutdown::Write).unwrap();
        })
    };
    let reader = {
        let mut peer = peer.try_clone().unwrap();
        thread::spawn(move || {
            let mut back = vec![0; total];
            peer.read_exact(&mut back).unwrap();
            back
        })
    };
    pump.until_told(link.key, "eof");
    pump.until("all sent", |_| link.nothing_to_send());
    writer.join().unwrap();
    assert!(reader.join().unwrap() == sent, "the echo differs");
    assert!(pump.received(link.key) == sent, "what came in differs");
    assert_eq!(
        (link.bytes_received(), link.bytes_sent()),
        (total as u64, total as u64)
    );
    assert_eq!(pump.hub.inbox.memory.unread(), 0);
    assert_eq!(pump.story(link.key), ["accepted", "data", "eof"]);
}

#[test]
fn small_random_sizes_come_back_exactly() {
    echo_of_random_sizes(Pump::new(), 1, 700, 400_000);
}

#[test]
fn large_random_sizes_come_back_exactly() {
    echo_of_random_sizes(Pump::new(), 2, 300_000, 16 << 20);
}

#[test]
fn random_sizes_come_back_exactly_with_threads_of_the_runtimes_own() {
    echo_of_random_sizes(Pump::with(support::LIMITS, 2), 3, 100_000, 8 << 20);
}

#[test]
fn many_connections_do_not_mix_their_bytes() {
    let mut pump = Pump::new();
    pump.echoes = true;
    let (_listener, address) = pump.listen(Options::default());
    let peers: Vec<_> = (0..40u8)
        .map(|mine| {
            thread::spawn(move || {
                let mut peer = support::peer(address);
                for round in 1..50usize {
                    peer.write_all(&vec![mine; round]).unwrap();
                    let mut back = vec![0; round];
                    peer.read_exact(&mut back).unwrap();
                    assert!(back.iter().all(|byte| *byte == mine));
                }
            })
        })
        .collect();
    pump.until("all peers are done", |pump| {
        pump.told.iter().filter(|told| told.word() == "eof").count() == 40
    });
    for peer in peers {
        peer.join().unwrap();
    }
}

#[test]
fn what_is_written_before_the_connection_exists_goes_first() {
    let mut pump = Pump::new();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let link = pump.connect(
        Host::Address(server.local_addr().unwrap()),
        Timeouts::default(),
    );
    pump.write(&link, b"before ");
    let reader = thread::spawn(move || {
        let mut got = String::new();
        server.accept().unwrap().0.read_to_string(&mut got).unwrap();
        got
    });
    pump.until_told(link.key, "connected");
    pump.write(&link, b"after");
    link.shutdown_write();
    pump.flush(&link);
    pump.until_told(link.key, "eof");
    assert_eq!(reader.join().unwrap(), "before after");
    assert_eq!(pump.story(link.key), ["connected", "eof"]);
}

/// The task sends on a thread of its own while the pump stages more.
#[test]
fn bytes_written_while_others_are_being_sent_follow_them() {
    let mut pump = Pump::with(support::LIMITS, 2);
    let (link, mut peer) = pump.pair(Timeouts::default());
    let sent = pattern(48 << 20);
    let total = sent.len();
    let reader = thread::spawn(move || {
        let mut got = vec![0; total];
        peer.read_exact(&mut got).unwrap();
        got
    });
    // The first piece fills the kernel.
    let (first, rest) = sent.split_at(24 << 20);
    pump.write(&link, first);
    for piece in rest.chunks(5_003) {
        pump.write(&link, piece);
    }
    assert!(
        reader.join().unwrap() == sent,
        "the peer got something else"
    );
}

#[test]
fn connected_comes_before_data_that_the_server_sent_at_once() {
    let mut pump = Pump::new();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let link = pump.connect(
        Host::Address(server.local_addr().unwrap()),
        Timeouts::default(),
    );
    let greeter =
        thread::spawn(move || server.accept().unwrap().0.write_all(b"220 hello").unwrap());
    pump.until_told(link.key, "eof");
    greeter.join().unwrap();
    assert_eq!(pump.story(link.key), ["connected", "data", "eof"]);
    assert_eq!(pump.received(link.key), b"220 hello");
}

#[test]
fn flushed_is_told_for_an_empty_write_and_not_without_one() {
    let mut pump = Pump::new();
    let (link, _peer) = pump.pair(Timeouts::default());
    link.set_wants_flushed(true);
    pump.flush(&link);
    pump.turn(asynctcp::io::runtime::driver::Wait::No);
    assert!(!pump.was_told(link.key, "flushed"));
    pump.write(&link, b"");
    pump.until_told(link.key, "flushed");
}

#[test]
fn addresses_are_known_and_plain() {
    let mut pump = Pump::new();
    let (link, peer) = pump.pair(Timeouts::default());
    let (theirs, ours) = link.addresses().unwrap();
    assert_eq!(
        (theirs, ours),
        (peer.local_addr().unwrap(), peer.peer_addr().unwrap())
    );
}
