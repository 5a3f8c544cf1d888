//! Races of addresses of this machine: one that answers, one that refuses, one that hangs.

use super::*;
use crate::io::sys::platform::number;

fn address(text: &str) -> SocketAddr {
    text.parse().expect("a literal")
}

fn in_runtime<R>(test: impl Future<Output = R>) -> R {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(test)
}

async fn race(addresses: Vec<SocketAddr>, local: Option<SocketAddr>) -> Result<Connected, Failure> {
    let mut race = Race::new(Setup {
        local,
        ..Setup::default()
    });
    match race.run(addresses).await {
        Some(connected) => Ok(connected),
        None => Err(race.failure()),
    }
}

/// Errno of each attempt, in their order.
fn codes(failure: &Failure) -> Vec<i32> {
    match failure {
        Failure::Connect(connect) => connect.tries.iter().map(|one| one.code).collect(),
        _ => panic!("{failure:?}"),
    }
}

/// A listener, and an address of the same machine that refuses: bound, so that nobody else gets it.
fn live_and_refusing() -> (std::net::TcpListener, socket2::Socket, SocketAddr) {
    let live = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let refusing =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    refusing.bind(&address("127.0.0.1:0").into()).unwrap();
    let there = refusing.local_addr().unwrap().as_socket().unwrap();
    (live, refusing, there)
}

/// A listener whose accept queue is full: Linux ignores whoever comes next.
fn black_hole() -> (socket2::Socket, Vec<std::net::TcpStream>, SocketAddr) {
    let hole = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    hole.bind(&address("127.0.0.1:0").into()).unwrap();
    hole.listen(0).unwrap();
    let there = hole.local_addr().unwrap().as_socket().unwrap();
    let mut inside = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&there, Duration::from_millis(100))
    {
        inside.push(stream);
    }
    (hole, inside, there)
}

#[test]
fn a_refused_address_is_followed_by_the_next_at_once() {
    let (live, _bound, refusing) = live_and_refusing();
    let there = live.local_addr().unwrap();
    let begun = Instant::now();
    let connected = in_runtime(race(vec![refusing, refusing, there], None)).unwrap();
    assert_eq!(connected.peer, there.into());
    assert!(begun.elapsed() < STAGGER, "it waited for the stagger");
}

#[test]
fn a_dead_address_has_the_stagger_and_then_competes_with_the_next() {
    let (live, _bound, _) = live_and_refusing();
    let (_hole, _inside, dead) = black_hole();
    let there = live.local_addr().unwrap();
    let begun = Instant::now();
    let connected = in_runtime(race(vec![dead, there], None)).unwrap();
    assert_eq!(connected.peer, there.into());
    assert!(begun.elapsed() >= STAGGER);
}

/// A noisy machine may need a stagger's time for it, but not each time.
#[test]
fn a_refusal_beside_a_dead_address_is_followed_by_the_next_at_once() {
    let (live, _bound, refusing) = live_and_refusing();
    let (_hole, _inside, dead) = black_hole();
    let there = live.local_addr().unwrap();
    let quick = (0..5).any(|_| {
        let begun = Instant::now();
        let connected = in_runtime(race(vec![dead, refusing, there], None)).unwrap();
        assert_eq!(connected.peer, there.into());
        begun.elapsed() < 2 * STAGGER
    });
    assert!(quick, "a second stagger was waited for");
}

/// Its accept queue has room again only after the second attempt has begun and hangs as well.
#[test]
fn the_first_attempt_is_not_cut_off_by_the_second() {
    let (hole, inside, slow) = black_hole();
    let (_other, _others, dead) = black_hole();
    let room = std::thread::spawn(move || {
        std::thread::sleep(STAGGER + Duration::from_millis(100));
        drop(inside);
        std::iter::repeat_with(|| hole.accept().unwrap().0)
            .take(3)
            .collect::<Vec<_>>()
    });
    let limit = Duration::from_secs(20);
    let connected =
        in_runtime(async { tokio::time::timeout(limit, race(vec![slow, dead], None)).await })
            .unwrap()
            .unwrap();
    assert_eq!(connected.peer, slow.into());
    drop(connected);
    drop(room);
}

/// Its accept queue has room again only after the second attempt was refused.
#[test]
fn the_first_attempt_is_not_cut_off_by_a_refusal_of_the_last() {
    let (hole, inside, slow) = black_hole();
    let (_live, _bound, refusing) = live_and_refusing();
    let room = std::thread::spawn(move || {
        std::thread::sleep(STAGGER + Duration::from_millis(100));
        drop(inside);
        std::iter::repeat_with(|| hole.accept().unwrap().0)
            .take(3)
            .collect::<Vec<_>>()
    });
    let limit = Duration::from_secs(20);
    let racing = race(vec![slow, refusing], None);
    let connected = in_runtime(async { tokio::time::timeout(limit, racing).await })
        .unwrap()
        .unwrap();
    assert_eq!(connected.peer, slow.into());
    drop(connected);
    drop(room);
}

/// One after the other, since it is one socket: also where the first does not answer at once.
#[test]
fn a_given_socket_is_tried_at_each_address_in_turn() {
    let (live, _bound, refusing) = live_and_refusing();
    let there = live.local_addr().unwrap();
    let given = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let before = number(&given);
    let connected = in_runtime(async {
        let mut race = Race::new(Setup {
            given: Some(given.into()),
            ..Setup::default()
        });
        race.run(vec![refusing, refusing, there]).await.unwrap()
    });
    assert_eq!(connected.peer, there.into());
    let used = number(connected.wire.socket());
    assert_eq!(used, before);
}

#[test]
fn when_all_fail_the_refusal_is_told_and_what_each_said() {
    let (_live, _bound, refusing) = live_and_refusing();
    let senseless = address("[::1]:9");
    let given = vec![refusing, senseless];
    let local = Some(address("127.0.0.1:0"));
    let failure = in_runtime(race(given, local)).unwrap_err();
    assert_eq!(failure.code(), c::ECONNREFUSED);
    assert_eq!(codes(&failure)[0], c::ECONNREFUSED);
    assert_ne!(codes(&failure)[1], c::ECONNREFUSED);
    let failure = in_runtime(race(Vec::new(), None)).unwrap_err();
    assert_eq!(failure.code(), c::EADDRNOTAVAIL);
}

#[test]
fn what_tells_most_comes_first() {
    let mut codes = [
        c::EAFNOSUPPORT,
        c::ETIMEDOUT,
        c::EADDRNOTAVAIL,
        c::ENETUNREACH,
        c::ECONNREFUSED,
        c::EACCES,
    ];
    codes.sort_by_key(|code| rank(*code));
    let wanted = [
        c::ECONNREFUSED,
        c::EACCES,
        c::ENETUNREACH,
        c::ETIMEDOUT,
        c::EADDRNOTAVAIL,
        c::EAFNOSUPPORT,
    ];
    assert_eq!(codes, wanted);
}

/// Runs the race until the first address hangs and the other was refused.
async fn until_the_last_was_refused(race: &mut Race, hanging: SocketAddr, refusing: SocketAddr) {
    let refused = |race: &Race| matches!(race.tries.get(1), Some((_, State::Failed(_))));
    while !refused(race) {
        let all = vec![hanging, refusing];
        *race = Race::new(Setup::default());
        let limit = STAGGER + Duration::from_millis(100);
        assert!(tokio::time::timeout(limit, race.run(all)).await.is_err());
    }
}

#[test]
fn when_the_time_is_over_what_still_hangs_timed_out() {
    let (_live, _bound, refusing) = live_and_refusing();
    let (_hole, _inside, dead) = black_hole();
    let failure = in_runtime(async {
        let mut race = Race::new(Setup::default());
        until_the_last_was_refused(&mut race, dead, refusing).await;
        race.late().unwrap_err()
    });
    assert_eq!(failure.code(), c::ETIMEDOUT);
    assert!(failure.message().starts_with("connection timeout"));
    assert_eq!(codes(&failure), [c::ETIMEDOUT, c::ECONNREFUSED]);
}

#[test]
fn a_connection_that_the_kernel_has_wins_over_the_timeout() {
    let (live, _bound, _) = live_and_refusing();
    let there = live.local_addr().unwrap();
    let connected = in_runtime(async {
        let mut race = Race::new(Setup::default());
        assert!(race.begin(there));
        race.late().unwrap()
    });
    assert_eq!(connected.peer, there.into());
}

#[test]
fn a_refusal_that_the_kernel_has_wins_over_the_timeout() {
    let (_live, _bound, refusing) = live_and_refusing();
    let failure = in_runtime(async {
        let mut race = Race::new(Setup::default());
        assert!(race.begin(refusing));
        race.late().unwrap_err()
    });
    assert_eq!(failure.code(), c::ECONNREFUSED);
}

#[test]
fn families_alternate_beginning_with_the_first() {
    let given = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]
        .map(address)
        .to_vec();
    let wanted = ["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]
        .map(address)
        .to_vec();
    assert_eq!(interleave(given), wanted);
}

#[test]
fn one_family_keeps_its_order() {
    let given = ["1.1.1.1:1", "2.2.2.2:1"].map(address).to_vec();
    assert_eq!(interleave(given.clone()), given);
}
