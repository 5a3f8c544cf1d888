//! Connecting: refusals, timeouts, several addresses, and a close in the middle.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use asynctcp::io::conn::link::{Link, Timeouts};
use asynctcp::io::failure::Failure;
use asynctcp::io::runtime::driver::Wait;
use asynctcp::io::setup::connect;
use asynctcp::io::setup::connect::{Host, Target};
use asynctcp::io::setup::dial::Setup;
use socket2::{Domain, Socket, Type};
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};
use support::{Pump, alone, open_descriptors};

/// A port of 127.0.0.1 that nobody listens on: bound, so that no other test gets it.
fn refusing() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket
        .bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into())
        .unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

/// A listener whose accept queue is full: Linux then ignores the SYN of whoever comes next.
struct BlackHole {
    address: SocketAddr,
    _listener: Socket,
    _fill: Vec<TcpStream>,
}

impl BlackHole {
    fn new() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener
            .bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into())
            .unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut fill = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
            fill.push(stream);
            assert!(fill.len() < 16, "the queue never fills");
        }
        Self {
            address,
            _listener: listener,
            _fill: fill,
        }
    }
}

fn start(pump: &mut Pump, address: SocketAddr, timeouts: Timeouts) -> std::sync::Arc<Link> {
    pump.connect(Host::Address(address), timeouts)
}

#[test]
fn a_refused_connection_is_told_and_gone() {
    let _alone = alone();
    let mut pump = Pump::new();
    let (_bound, address) = refusing();
    let link = start(&mut pump, address, Timeouts::default());
    pump.until_told(link.key, "gone");
    assert_eq!(pump.story(link.key), ["failed", "gone"]);
    assert_eq!(pump.failure(link.key).unwrap().code(), libc::ECONNREFUSED);
    assert_eq!(
        pump.failure(link.key).unwrap().message(),
        "connection refused"
    );
    assert_eq!(pump.hub.keys.alive(), 0);
}

#[test]
fn either_timeout_bounds_the_attempt() {
    let _alone = alone();
    let hole = BlackHole::new();
    for timeouts in [
        support::read_timeout(Duration::from_millis(150)),
        support::write_timeout(Duration::from_millis(150)),
    ] {
        let mut pump = Pump::new();
        let begun = Instant::now();
        let link = start(&mut pump, hole.address, timeouts);
        pump.until_told(link.key, "gone");
        assert!(begun.elapsed() >= Duration::from_millis(150));
        assert_eq!(pump.story(link.key), ["failed", "gone"]);
        let code = pump.failure(link.key).map(Failure::code);
        assert_eq!(code, Some(libc::ETIMEDOUT));
    }
}

#[test]
fn a_forced_close_while_connecting_leaves_no_descriptor() {
    let _alone = alone();
    let hole = BlackHole::new();
    let mut pump = Pump::new();
    pump.turn(Wait::No);
    let before = open_descriptors();
    for _ in 0..20 {
        let link = start(&mut pump, hole.address, Timeouts::default());
        pump.during(Duration::from_millis(2));
        link.close(&pump.hub, true);
        pump.until_told(link.key, "gone");
        assert_eq!(pump.story(link.key), ["gone"]);
    }
    // The attempt's own task is dropped right after its `Gone`.
    pump.until("the descriptors are closed", |_| {
        open_descriptors() == before
    });
    assert_eq!(pump.hub.keys.alive(), 0);
}

#[test]
fn a_close_while_connecting_still_sends_what_was_written() {
    let _alone = alone();
    let mut pump = Pump::new();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let link = start(&mut pump, server.local_addr().unwrap(), Timeouts::default());
    pump.write(&link, b"farewell");
    link.close(&pump.hub, false);
    let reader = std::thread::spawn(move || {
        let mut got = String::new();
        server.accept().unwrap().0.read_to_string(&mut got).unwrap();
        got
    });
    pump.until_told(link.key, "gone");
    assert_eq!(reader.join().unwrap(), "farewell");
}

#[test]
fn the_own_address_is_the_one_asked_for() {
    let _alone = alone();
    let mut pump = Pump::new();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let link = Link::connecting(pump.hub.keys.new_key(), Timeouts::default());
    pump.links.insert(link.key, link.clone());
    let host = Host::Address(server.local_addr().unwrap());
    connect::start(
        &pump.hub,
        &link,
        Target {
            host,
            setup: Setup {
                local: Some("127.0.0.3:0".parse().unwrap()),
                ..Setup::default()
            },
            family: None,
            tls: None,
        },
    );
    pump.until_told(link.key, "connected");
    assert_eq!(
        link.addresses().unwrap().1.ip(),
        "127.0.0.3".parse::<std::net::IpAddr>().unwrap()
    );
}

/// What `localhost` means differs between machines; that it reaches a listener on all of its addresses does not.
#[test]
fn a_name_is_looked_up_and_connected() {
    let _alone = alone();
    let mut pump = Pump::new();
    let server = TcpListener::bind("localhost:0").unwrap();
    let link = pump.connect(
        Host::Name("localhost".into(), server.local_addr().unwrap().port()),
        Timeouts::default(),
    );
    pump.until_told(link.key, "connected");
    assert_eq!(link.addresses().unwrap().0, server.local_addr().unwrap());
    assert_eq!(pump.hub.keys.lookups(), 0);
}

#[test]
fn a_name_that_is_unknown_is_told_with_the_resolvers_code() {
    let _alone = alone();
    let mut pump = Pump::new();
    let link = pump.connect(
        Host::Name("no-such-host.invalid".into(), 80),
        Timeouts::default(),
    );
    pump.until_told(link.key, "gone");
    assert_eq!(pump.story(link.key), ["failed", "gone"]);
    let Some(Failure::Lookup(failure)) = pump.failure(link.key) else {
        panic!("{:?}", pump.told)
    };
    assert!(
        [libc::EAI_NONAME, libc::EAI_AGAIN, libc::EAI_NODATA].contains(&failure.code),
        "{failure:?}"
    );
    assert_eq!(failure.host, "no-such-host.invalid");
}

#[test]
fn an_attempt_that_the_loops_end_cuts_off_is_gone_and_leaves_no_descriptor() {
    let _alone = alone();
    let hole = BlackHole::new();
    let before = open_descriptors();
    let mut pump = Pump::new();
    let link = start(&mut pump, hole.address, Timeouts::default());
    pump.during(Duration::from_millis(5));
    pump.stop();
    pump.collect();
    assert_eq!(pump.story(link.key), ["gone"]);
    assert_eq!(open_descriptors(), before);
}
