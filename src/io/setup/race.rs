//! Happy Eyeballs (RFC 8305): the addresses of one host tried beside each other, and what became of each.

use crate::io::failure::{ConnectFailure, Failure, Try, describe};
use crate::io::setup::dial::{Connected, Dial, Setup};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// RFC 8305, section 5: the time that one attempt has before the next address is tried beside it.
const STAGGER: Duration = Duration::from_millis(250);

const NOT_IN_TIME: &str = "connection timeout: not established in time";

/// All attempts at one host. Dropping it cancels those that go on.
#[derive(Debug)]
pub struct Race {
    setup: Setup,
    tries: Vec<(SocketAddr, State)>,
    untried: std::vec::IntoIter<SocketAddr>,
}

#[derive(Debug)]
enum State {
    Going(Dial),
    Failed(io::Error),
    Won,
}

/// What has changed.
enum Settled {
    Won(Connected),
    OneFailed,
}

impl Race {
    /// `setup`: for all attempts.
    pub fn new(setup: Setup) -> Self {
        Self {
            setup,
            tries: Vec::new(),
            untried: Vec::new().into_iter(),
        }
    }

    /// The first attempt that succeeds; None if all have failed. What it did so far stays known if it is dropped.
    pub async fn run(&mut self, addresses: Vec<SocketAddr>) -> Option<Connected> {
        self.untried = addresses.into_iter();
        // One socket of the app's can try one address at a time.
        let beside = self.setup.given.is_none();
        let mut next = Instant::now();
        loop {
            while !self.is_going() || (beside && next <= Instant::now()) {
                match self.untried.next() {
                    Some(address) if self.begin(address) => next = Instant::now() + STAGGER,
                    Some(_) => {}
                    None if self.is_going() => break,
                    None => return None,
                }
            }
            let more = beside && self.untried.len() > 0;
            tokio::select! {
                biased;
                settled = poll_fn(|context| self.poll_settled(context)) => match settled {
                    Settled::Won(connected) => return Some(connected),
                    Settled::OneFailed => next = Instant::now(),
                },
                () = sleep_until(next), if more => {}
            }
        }
    }

    /// The time for all of them is over. The clock went on while the process was stopped or held up, and so did the kernel:
    /// what it has decided counts.
    pub fn late(mut self) -> Result<Connected, Failure> {
        for at in 0..self.tries.len() {
            let State::Going(dial) = &self.tries[at].1 else {
                continue;
            };
            if let Some(decided) = dial.ask_kernel()
                && let Some(connected) = self.settle(at, decided)
            {
                return Ok(connected);
            }
        }
        let over = !self.tries.is_empty() && !self.is_going() && self.untried.len() == 0;
        Err(if over {
            self.failure()
        } else {
            self.told(Failure::Timeout(NOT_IN_TIME))
        })
    }

    /// Why there is no connection, all attempts having failed: what the most telling one said.
    pub fn failure(self) -> Failure {
        let telling = self
            .tries
            .iter()
            .filter_map(|(_, state)| match state {
                State::Failed(error) => error.raw_os_error(),
                State::Going(_) | State::Won => None,
            })
            .min_by_key(|code| rank(*code));
        let code = telling.unwrap_or(libc::EADDRNOTAVAIL);
        self.told(Failure::Os(io::Error::from_raw_os_error(code)))
    }

    fn told(self, why: Failure) -> Failure {
        let late = || io::Error::from_raw_os_error(libc::ETIMEDOUT);
        let tries = self.tries.into_iter().filter_map(|(address, state)| {
            let error = match state {
                State::Going(_) => late(),
                State::Failed(error) => error,
                State::Won => return None,
            };
            let code = error.raw_os_error().unwrap_or(libc::EIO);
            let text = describe(&error);
            Some(Try {
                address,
                code,
                text,
            })
        });
        Failure::Connect(Box::new(ConnectFailure {
            why,
            tries: tries.collect(),
        }))
    }

    fn is_going(&self) -> bool {
        self.tries
            .iter()
            .any(|(_, state)| matches!(state, State::Going(_)))
    }

    /// False: it failed at once.
    fn begin(&mut self, address: SocketAddr) -> bool {
        let state = match Dial::begin(address, &mut self.setup) {
            Ok(dial) => State::Going(dial),
            Err(error) => State::Failed(error),
        };
        let begun = matches!(state, State::Going(_));
        self.tries.push((address, state));
        begun
    }

    fn poll_settled(&mut self, context: &mut Context<'_>) -> Poll<Settled> {
        let mut settled = Poll::Pending;
        for at in 0..self.tries.len() {
            let State::Going(dial) = &self.tries[at].1 else {
                continue;
            };
            let Poll::Ready(decided) = dial.poll(context) else {
                continue;
            };
            if let Some(connected) = self.settle(at, decided) {
                return Poll::Ready(Settled::Won(connected));
            }
            settled = Poll::Ready(Settled::OneFailed);
        }
        settled
    }

    /// The connection of an attempt that is decided. None: it has failed.
    fn settle(&mut self, at: usize, decided: io::Result<()>) -> Option<Connected> {
        let state = &mut self.tries[at].1;
        let State::Going(dial) = std::mem::replace(state, State::Won) else {
            return None;
        };
        let error = match decided {
            Ok(()) => match dial.finish() {
                Ok(connected) => return Some(connected),
                Err(error) => error,
            },
            Err(error) => {
                dial.give_up(&mut self.setup);
                error
            }
        };
        *state = State::Failed(error);
        None
    }
}

/// The less, the more an error tells of the host: someone refused, nobody is there, no answer came, and last what says
/// only that the attempt made no sense from here.
fn rank(code: i32) -> u8 {
    match code {
        libc::ECONNREFUSED => 0,
        libc::EHOSTUNREACH | libc::ENETUNREACH | libc::EHOSTDOWN | libc::ENETDOWN => 2,
        libc::ETIMEDOUT => 3,
        libc::EADDRNOTAVAIL => 4,
        libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT | libc::EINVAL => 5,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    async fn race(
        addresses: Vec<SocketAddr>,
        local: Option<SocketAddr>,
    ) -> Result<Connected, Failure> {
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
        let hole =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        hole.bind(&address("127.0.0.1:0").into()).unwrap();
        hole.listen(0).unwrap();
        let there = hole.local_addr().unwrap().as_socket().unwrap();
        let mut inside = Vec::new();
        while let Ok(stream) =
            std::net::TcpStream::connect_timeout(&there, Duration::from_millis(100))
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
        let given =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&given);
        let connected = in_runtime(async {
            let mut race = Race::new(Setup {
                given: Some(given.into()),
                ..Setup::default()
            });
            race.run(vec![refusing, refusing, there]).await.unwrap()
        });
        assert_eq!(connected.peer, there.into());
        let used = std::os::fd::AsRawFd::as_raw_fd(connected.wire.socket());
        assert_eq!(used, number);
    }

    #[test]
    fn when_all_fail_the_refusal_is_told_and_what_each_said() {
        let (_live, _bound, refusing) = live_and_refusing();
        let senseless = address("[::1]:9");
        let given = vec![refusing, senseless];
        let local = Some(address("127.0.0.1:0"));
        let failure = in_runtime(race(given, local)).unwrap_err();
        assert_eq!(failure.code(), libc::ECONNREFUSED);
        assert_eq!(codes(&failure)[0], libc::ECONNREFUSED);
        assert_ne!(codes(&failure)[1], libc::ECONNREFUSED);
        let failure = in_runtime(race(Vec::new(), None)).unwrap_err();
        assert_eq!(failure.code(), libc::EADDRNOTAVAIL);
    }

    #[test]
    fn what_tells_most_comes_first() {
        let mut codes = [
            libc::EAFNOSUPPORT,
            libc::ETIMEDOUT,
            libc::EADDRNOTAVAIL,
            libc::ENETUNREACH,
            libc::ECONNREFUSED,
            libc::EACCES,
        ];
        codes.sort_by_key(|code| rank(*code));
        let wanted = [
            libc::ECONNREFUSED,
            libc::EACCES,
            libc::ENETUNREACH,
            libc::ETIMEDOUT,
            libc::EADDRNOTAVAIL,
            libc::EAFNOSUPPORT,
        ];
        assert_eq!(codes, wanted);
    }

    /// Runs the race until the first address hangs and the other was refused.
    async fn until_the_last_was_refused(
        race: &mut Race,
        hanging: SocketAddr,
        refusing: SocketAddr,
    ) {
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
        assert_eq!(failure.code(), libc::ETIMEDOUT);
        assert!(failure.message().starts_with("connection timeout"));
        assert_eq!(codes(&failure), [libc::ETIMEDOUT, libc::ECONNREFUSED]);
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
        assert_eq!(failure.code(), libc::ECONNREFUSED);
    }
}
