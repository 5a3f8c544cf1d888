//! The accept loop: order, limits, its end.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use asynctcp::io::conn::link::Timeouts;
use asynctcp::io::runtime::driver::Wait;
use asynctcp::io::setup::bind;
use asynctcp::io::setup::listener::{Listener, Options};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;
use support::{PATIENCE, Pump, peer};

fn accepted(pump: &Pump) -> usize {
    pump.told
        .iter()
        .filter(|told| told.word() == "accepted")
        .count()
}

#[test]
fn accepted_comes_before_the_connections_data_and_end() {
    let mut pump = Pump::new();
    let (_listener, address) = pump.listen(Options::default());
    for _ in 0..20 {
        peer(address).write_all(b"hello").unwrap();
    }
    pump.until("all ends", |pump| {
        pump.told.iter().filter(|told| told.word() == "eof").count() == 20
    });
    for key in pump.links.keys() {
        assert_eq!(pump.story(*key), ["accepted", "data", "eof"]);
    }
}

#[test]
fn a_connection_that_was_reset_before_it_was_accepted_has_its_addresses() {
    let mut pump = Pump::new();
    let (_listener, address) = pump.listen(Options::default());
    let peer = peer(address);
    let from = peer.local_addr().unwrap();
    support::reset(peer);
    pump.until("accepted", |pump| accepted(pump) == 1);
    let link = pump.links.values().next().unwrap();
    assert_eq!(link.addresses(), Some((from, address)));
}

/// One poll accepts 64 at most, so the loop must go on by itself.
#[test]
fn a_burst_is_accepted_whole() {
    let mut pump = Pump::new();
    let (listener, address) = pump.listen(Options::default());
    let peers: Vec<_> = (0..200).map(|_| peer(address)).collect();
    pump.until("all", |pump| accepted(pump) == 200);
    assert_eq!((listener.open(), pump.hub.keys.alive()), (200, 201));
    drop(peers);
}

#[test]
fn accepting_pauses_at_max_connections_and_goes_on_when_one_ends() {
    let mut pump = Pump::new();
    let (listener, address) = pump.listen(Options {
        max_connections: Some(2),
        ..Options::default()
    });
    let mut peers: Vec<_> = (0..4).map(|_| peer(address)).collect();
    pump.until("two", |pump| accepted(pump) == 2);
    pump.during(Duration::from_millis(50));
    assert_eq!((accepted(&pump), listener.open()), (2, 2));
    for expected in [3, 4] {
        let first = *pump
            .links
            .keys()
            .filter(|key| !pump.was_told(**key, "gone"))
            .min_by_key(|key| key.index)
            .unwrap();
        let link = pump.links[&first].clone();
        link.close(&pump.hub, false);
        pump.until("the next", |pump| accepted(pump) == expected);
        assert!(listener.open() <= 2);
    }
    for peer in &mut peers[2..] {
        peer.write_all(b"x").unwrap();
    }
    pump.until("data of both", |pump| pump.received.len() == 2);
}

#[test]
fn a_closed_listener_refuses_and_its_connections_live_on() {
    let mut pump = Pump::new();
    let (listener, address) = pump.listen(Options::default());
    let (link, mut first) = pump.accept_one(address);
    listener.close(&pump.hub);
    // At once: nobody has driven yet.
    assert!(TcpStream::connect_timeout(&address, PATIENCE).is_err());
    pump.until_told(listener.key, "gone");
    first.write_all(b"still here").unwrap();
    pump.until("data", |pump| pump.received(link.key) == b"still here");
    pump.write(&link, b"yes");
    let mut got = [0; 3];
    first.read_exact(&mut got).unwrap();
    listener.close(&pump.hub);
    assert_eq!(pump.story(listener.key), ["gone"]);
}

#[test]
fn a_listener_that_is_closed_before_it_ran_is_gone_too() {
    let mut pump = Pump::new();
    let (listener, _) = pump.listen(Options::default());
    listener.close(&pump.hub);
    pump.until_told(listener.key, "gone");
    assert_eq!(pump.story(listener.key), ["gone"]);
    assert_eq!(pump.hub.keys.alive(), 0);
}

/// accept(2) says EINVAL from then on, which no waiting mends.
#[test]
fn a_listening_socket_that_was_shut_down_elsewhere_is_told_once_and_gone() {
    let mut pump = Pump::new();
    let socket = bind::bind_address("127.0.0.1:0".parse().unwrap(), &Options::default()).unwrap();
    let elsewhere = socket.try_clone().unwrap();
    let listener = Listener::start(
        &pump.hub,
        pump.hub.keys.new_key(),
        vec![socket],
        Options::default(),
        true,
    )
    .unwrap();
    pump.turn(Wait::No);
    elsewhere.shutdown(std::net::Shutdown::Both).unwrap();
    pump.until_told(listener.key, "gone");
    assert_eq!(pump.story(listener.key), ["accept failed", "gone"]);
}

/// Another process may listen on it.
#[test]
fn an_adopted_socket_is_not_shut_down() {
    let mut pump = Pump::new();
    let socket = bind::bind_address("127.0.0.1:0".parse().unwrap(), &Options::default()).unwrap();
    let elsewhere = std::net::TcpListener::from(socket.try_clone().unwrap());
    let listener = Listener::start(
        &pump.hub,
        pump.hub.keys.new_key(),
        vec![socket],
        Options::default(),
        true,
    )
    .unwrap();
    listener.close(&pump.hub);
    pump.until_told(listener.key, "gone");
    elsewhere.set_nonblocking(false).unwrap();
    let _client = peer(elsewhere.local_addr().unwrap());
    elsewhere.accept().unwrap();
}

#[test]
fn any_address_takes_both_families_and_shows_ipv4_plainly() {
    let mut pump = Pump::new();
    let socket = bind::bind_any(0, &Options::default()).unwrap();
    let port = bind::address_of(&socket).unwrap().port();
    let _listener = Listener::start(
        &pump.hub,
        pump.hub.keys.new_key(),
        vec![socket],
        Options::default(),
        false,
    )
    .unwrap();
    let mut hosts: Vec<IpAddr> = vec![Ipv4Addr::LOCALHOST.into()];
    // A machine without IPv6 has no ::1.
    if std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        hosts.push(Ipv6Addr::LOCALHOST.into());
    }
    for host in hosts {
        let (link, client) = pump.accept_one(SocketAddr::new(host, port));
        assert_eq!(link.addresses().unwrap().0, client.local_addr().unwrap());
    }
}

#[test]
fn a_name_is_bound_at_its_addresses_on_one_port() {
    let sockets = bind::bind_name("localhost", 0, &Options::default()).unwrap();
    let addresses = sockets.iter().map(bind::address_of);
    let addresses: Vec<_> = addresses.collect::<Result<_, _>>().unwrap();
    let port = addresses[0].port();
    assert_ne!(port, 0);
    for address in addresses {
        assert!(address.ip().is_loopback() && address.port() == port);
    }
}

#[test]
fn an_address_in_use_is_an_error_and_a_restart_is_none() {
    let mut pump = Pump::new();
    let (listener, address) = pump.listen(Options::default());
    let error = bind::bind_address(address, &Options::default()).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EADDRINUSE));
    // The server closes first, so its side of the connection stays in TIME_WAIT.
    let (link, mut client) = pump.accept_one(address);
    link.close(&pump.hub, false);
    assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
    drop(client);
    listener.close(&pump.hub);
    pump.until_told(listener.key, "gone");
    pump.until_told(link.key, "gone");
    bind::bind_address(address, &Options::default()).unwrap();
}

#[test]
fn timeouts_of_the_listener_are_those_of_its_connections() {
    let mut pump = Pump::new();
    let timeouts = Timeouts {
        read: Some(Duration::from_millis(80)),
        write: None,
    };
    let (link, _client) = pump.pair(timeouts);
    pump.until_told(link.key, "gone");
    assert_eq!(pump.story(link.key), ["accepted", "failed", "gone"]);
}
