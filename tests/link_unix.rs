//! A connection over a Unix socket: what it shares with TCP, and what is otherwise.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use asynctcp::io::conn::link::{Link, Timeouts};
use asynctcp::io::conn::outcome::Flush;
use asynctcp::io::setup::connect;
use asynctcp::io::sys::address::Address;
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use support::{PATIENCE, Pump, pattern};

/// A connection over one end of a pair, and the other end, which blocks.
fn pair(pump: &mut Pump) -> (Arc<Link>, UnixStream) {
    let (ours, peer) = UnixStream::pair().unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    peer.set_write_timeout(Some(PATIENCE)).unwrap();
    (take_over(pump, ours.into()), peer)
}

fn take_over(pump: &mut Pump, socket: Socket) -> Arc<Link> {
    socket.set_nonblocking(true).unwrap();
    let link = Link::connecting(pump.hub.keys.new_key(), Timeouts::default());
    pump.links.insert(link.key, link.clone());
    connect::take_over(&pump.hub, &link, socket);
    pump.until_told(link.key, "connected");
    link
}

#[test]
fn bytes_go_both_ways_and_the_peers_end_is_told() {
    let mut pump = Pump::new();
    let (link, mut peer) = pair(&mut pump);
    peer.write_all(b"from the peer").unwrap();
    pump.until("the bytes", |pump| {
        pump.received(link.key) == b"from the peer"
    });
    assert!(matches!(pump.write(&link, b"to the peer"), Flush::Done));
    let mut got = [0; 11];
    peer.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"to the peer");
    assert_eq!((link.bytes_received(), link.bytes_sent()), (13, 11));
    drop(peer);
    pump.until_told(link.key, "eof");
}

#[test]
fn more_than_the_kernel_takes_arrives_whole_and_in_order() {
    let mut pump = Pump::new();
    let (link, mut peer) = pair(&mut pump);
    let bytes = pattern(4 << 20);
    assert!(matches!(pump.write(&link, &bytes), Flush::Blocked));
    let reader = std::thread::spawn(move || {
        let mut got = Vec::new();
        peer.read_to_end(&mut got).unwrap();
        got
    });
    link.close(&pump.hub, false);
    pump.until_told(link.key, "gone");
    assert!(reader.join().unwrap() == bytes);
    assert_eq!(pump.story(link.key), ["connected", "gone"]);
}

#[test]
fn a_large_message_of_the_peers_arrives_whole() {
    let mut pump = Pump::new();
    let (link, mut peer) = pair(&mut pump);
    let bytes = pattern(4 << 20);
    let sent = bytes.clone();
    let writer = std::thread::spawn(move || peer.write_all(&sent));
    pump.until_told(link.key, "eof");
    writer.join().unwrap().unwrap();
    assert!(pump.received(link.key) == bytes);
}

#[test]
fn either_side_can_end_its_half_and_the_other_half_goes_on() {
    let mut pump = Pump::new();
    let (link, mut peer) = pair(&mut pump);
    peer.shutdown(Shutdown::Write).unwrap();
    pump.until_told(link.key, "eof");
    pump.write(&link, b"an answer all the same");
    link.shutdown_write();
    pump.flush(&link);
    let mut got = String::new();
    peer.read_to_string(&mut got).unwrap();
    assert_eq!(got, "an answer all the same");
    link.close(&pump.hub, false);
    pump.until_told(link.key, "gone");
    assert!(pump.failure(link.key).is_none());
}

#[test]
fn a_close_leaves_what_was_written_to_the_peer() {
    let mut pump = Pump::new();
    let (link, mut peer) = pair(&mut pump);
    pump.write(&link, b"still to be read");
    link.close(&pump.hub, false);
    pump.until_told(link.key, "gone");
    let mut got = Vec::new();
    peer.read_to_end(&mut got).unwrap();
    assert_eq!(got, b"still to be read");
}

#[test]
fn what_the_peer_has_read_is_acknowledged() {
    let mut pump = Pump::new();
    let (link, mut peer) = pair(&mut pump);
    pump.write(&link, b"read");
    peer.read_exact(&mut [0; 4]).unwrap();
    assert_eq!(link.bytes_acknowledged(), 4);
}

/// There is no reset: what was not sent is lost, and the peer sees an end.
#[test]
fn a_forced_close_ends_the_connection_although_a_copy_of_the_descriptor_is_open() {
    let mut pump = Pump::new();
    let (ours, mut peer) = UnixStream::pair().unwrap();
    let copy = ours.try_clone().unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    let link = take_over(&mut pump, ours.into());
    link.close(&pump.hub, true);
    pump.until_told(link.key, "gone");
    assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
    assert_eq!(
        peer.write(b"in vain").unwrap_err().kind(),
        ErrorKind::BrokenPipe
    );
    drop(copy);
}

/// The kernel's word for a peer that has closed without reading all.
#[test]
fn a_peer_that_drops_what_it_was_sent_has_ended() {
    let mut pump = Pump::new();
    let (link, peer) = pair(&mut pump);
    pump.write(&link, b"never read");
    drop(peer);
    pump.until_told(link.key, "eof");
    assert!(pump.failure(link.key).is_none());
}

#[test]
fn a_write_to_a_peer_that_is_gone_is_a_broken_pipe_and_no_signal() {
    let mut pump = Pump::new();
    let (link, peer) = pair(&mut pump);
    drop(peer);
    assert!(matches!(pump.write(&link, b"in vain"), Flush::Failed));
    pump.until_told(link.key, "gone");
    assert!(pump.was_told(link.key, "eof") || pump.failure(link.key).is_some());
}

#[test]
fn the_ends_of_a_pair_have_no_name_and_those_of_a_path_have_it() {
    let mut pump = Pump::new();
    let (link, _peer) = pair(&mut pump);
    assert_eq!(link.ends(), Some((Address::Unnamed, Address::Unnamed)));
    assert_eq!(link.addresses(), None);
    let path = std::env::temp_dir().join(format!("link-unix-{}", std::process::id()));
    let server = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    server.bind(&SockAddr::unix(&path).unwrap()).unwrap();
    server.listen(1).unwrap();
    let client = UnixStream::connect(&path).unwrap();
    let link = take_over(&mut pump, client.into());
    std::fs::remove_file(&path).unwrap();
    let there = Address::Path(path.as_path().into());
    assert_eq!(there.to_string(), path.to_str().unwrap());
    assert_eq!(link.ends(), Some((there, Address::Unnamed)));
}
