//! From a host and a port to a connection: lookup, Happy Eyeballs (RFC 8305), the connection's task.

use super::hub::{Command, Hub};
use super::linger::PATIENCE;
use super::link::{CLOSING, FORCE, Link};
use super::outbox::Outbox;
use super::resolve;
use super::task::ConnTask;
use super::{Event, Failure};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

/// RFC 8305, section 5: the time that one attempt has before the next address is tried beside it.
const STAGGER: Duration = Duration::from_millis(250);

const NOT_IN_TIME: &str = "connection timeout: not established in time";

/// Whom to connect to.
#[derive(Debug, Clone)]
pub enum Host {
    /// An address: the resolver is never asked.
    Address(SocketAddr),
    /// A name and a port.
    Name(String, u16),
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(formatter),
            Self::Name(name, port) => write!(formatter, "{name}:{port}"),
        }
    }
}

/// An attempt's arguments.
#[derive(Debug, Clone)]
pub struct Target {
    /// Whom to connect to.
    pub host: Host,
    /// The own address to connect from.
    pub local: Option<SocketAddr>,
}

/// Leaves the attempt to whoever drives. What becomes of it comes as events of `link`'s key.
pub fn start(hub: &Arc<Hub>, link: &Arc<Link>, target: Target) {
    hub.came();
    let attempt = Attempt {
        hub: hub.clone(),
        link: link.clone(),
        established: false,
    };
    hub.post(Command::Spawn(Box::pin(attempt.run(target))));
}

/// Says `Gone` for an attempt that ends without a connection, however it ends.
struct Attempt {
    hub: Arc<Hub>,
    link: Arc<Link>,
    established: bool,
}

impl Attempt {
    async fn run(mut self, target: Target) {
        let established = tokio::select! {
            biased;
            failure = given_up(&self.link) => match failure {
                Some(failure) => Err(failure),
                None => return,
            },
            established = establish(&self.hub, target) => established,
        };
        match established {
            Err(failure) => self.hub.failed(self.link.key, failure),
            Ok(stream) => {
                self.established = true;
                // Before the pump hears of it: the link must know its addresses and descriptor by then.
                let (hub, link) = (self.hub.clone(), self.link.clone());
                let task = ConnTask::new(hub, link, stream, None, None);
                self.hub.queue.push(Event::Connected(self.link.key));
                self.hub.spawn(task);
            }
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.established {
            return;
        }
        if std::thread::panicking() {
            self.hub.failed(
                self.link.key,
                Failure::Panic("the connection attempt panicked".into()),
            );
        }
        drop(self.link.with_out(Outbox::kill));
        self.link.forget_task();
        self.hub.went();
        self.hub.queue.push(Event::Gone(self.link.key));
    }
}

/// Ready when the attempt is to end: with None once the link is closed by force, with a failure when a timeout has
/// passed. Either timeout bounds the attempt, lookup included, and may change while it lasts. A close that still has
/// something to send lets the attempt go on, for as long as a closing connection may stand still.
async fn given_up(link: &Link) -> Option<Failure> {
    let mut seen = None;
    let mut timer = None;
    std::future::poll_fn(|context| {
        link.register_task(context.waker());
        if link.control() & FORCE != 0 {
            return Poll::Ready(None);
        }
        let limit = patience(link);
        if seen != Some(limit) {
            seen = Some(limit);
            timer = limit.map(|limit| Box::pin(sleep(limit)));
        }
        let expired = timer
            .as_mut()
            .is_some_and(|timer| timer.as_mut().poll(context).is_ready());
        if expired {
            Poll::Ready(Some(Failure::Timeout(NOT_IN_TIME)))
        } else {
            Poll::Pending
        }
    })
    .await
}

fn patience(link: &Link) -> Option<Duration> {
    let timeouts = link.timeouts();
    if link.control() & CLOSING != 0 {
        return Some(timeouts.write.unwrap_or(PATIENCE));
    }
    timeouts.read.into_iter().chain(timeouts.write).min()
}

async fn establish(hub: &Arc<Hub>, target: Target) -> Result<TcpStream, Failure> {
    let addresses = match target.host {
        Host::Address(address) => vec![address],
        Host::Name(host, port) => {
            let _counted = hub.lookup_begins();
            let found = resolve::lookup(&host, None)
                .await
                .map_err(Failure::Lookup)?;
            interleave(found.into_iter().map(|ip| with_port(ip, port)).collect())
        }
    };
    race(addresses, target.local).await.map_err(Failure::Os)
}

fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

/// RFC 8305, section 4: families alternate, beginning with that of the first address.
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addresses.first().map(SocketAddr::is_ipv6) else {
        return addresses;
    };
    let (ours, others): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == first);
    let mut mixed = Vec::with_capacity(ours.len() + others.len());
    let mut others = others.into_iter();
    for address in ours {
        mixed.push(address);
        mixed.extend(others.next());
    }
    mixed.extend(others);
    mixed
}

/// The first attempt that succeeds; the others are cancelled by dropping them. If all fail, the last error.
async fn race(addresses: Vec<SocketAddr>, local: Option<SocketAddr>) -> io::Result<TcpStream> {
    let mut rest = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut next = Instant::now();
    let mut failed = io::Error::from_raw_os_error(libc::EADDRNOTAVAIL);
    loop {
        if attempts.is_empty() || next <= Instant::now() {
            match rest.next() {
                Some(address) => {
                    attempts.spawn(dial(address, local));
                }
                None if attempts.is_empty() => return Err(failed),
                None => {}
            }
            next = Instant::now() + STAGGER;
        }
        let more = rest.len() > 0;
        tokio::select! {
            Some(result) = attempts.join_next() => match result {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => {
                    failed = error;
                    next = Instant::now();
                }
                Err(panic) => failed = io::Error::other(panic),
            },
            () = sleep_until(next), if more => {}
        }
    }
}

async fn dial(address: SocketAddr, local: Option<SocketAddr>) -> io::Result<TcpStream> {
    let socket = match address.ip() {
        IpAddr::V4(_) => TcpSocket::new_v4()?,
        IpAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_nodelay(true)?;
    if let Some(local) = local {
        socket.set_reuseaddr(true)?;
        socket.bind(local)?;
    }
    let stream = socket.connect(address).await?;
    // A connection of a free port to itself (simultaneous open on loopback) is no server's answer.
    if stream.local_addr()? == address {
        return Err(io::Error::from_raw_os_error(libc::ECONNREFUSED));
    }
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("a literal")
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

    fn in_runtime<R>(test: impl Future<Output = R>) -> R {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(test)
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
        let stream = in_runtime(race(vec![refusing, refusing, there], None)).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), there);
        assert!(begun.elapsed() < STAGGER, "it waited for the stagger");
    }

    #[test]
    fn a_dead_address_has_the_stagger_and_then_competes_with_the_next() {
        let (live, _bound, _) = live_and_refusing();
        let (_hole, _inside, dead) = black_hole();
        let there = live.local_addr().unwrap();
        let begun = Instant::now();
        let stream = in_runtime(race(vec![dead, there], None)).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), there);
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
            let stream = in_runtime(race(vec![dead, refusing, there], None)).unwrap();
            assert_eq!(stream.peer_addr().unwrap(), there);
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
        let stream =
            in_runtime(async { tokio::time::timeout(limit, race(vec![slow, dead], None)).await })
                .unwrap()
                .unwrap();
        assert_eq!(stream.peer_addr().unwrap(), slow);
        drop(stream);
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
        let stream = in_runtime(async { tokio::time::timeout(limit, racing).await })
            .unwrap()
            .unwrap();
        assert_eq!(stream.peer_addr().unwrap(), slow);
        drop(stream);
        drop(room);
    }

    #[test]
    fn when_all_fail_the_last_error_is_told() {
        let (_live, _bound, refusing) = live_and_refusing();
        let error = in_runtime(race(vec![refusing, refusing], None)).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
        let error = in_runtime(race(Vec::new(), None)).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EADDRNOTAVAIL));
    }
}
