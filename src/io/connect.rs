//! From a host and a port to a connection: lookup, Happy Eyeballs (RFC 8305), the connection's task.

use super::hub::{Command, Hub};
use super::link::{FORCE, Link};
use super::outbox::Outbox;
use super::resolve;
use super::task::ConnTask;
use super::{Event, Failure};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

/// RFC 8305, section 5: the time that one attempt has before the next address is tried beside it.
const STAGGER: Duration = Duration::from_millis(250);

/// Whom to connect to.
#[derive(Debug, Clone)]
pub enum Host {
    /// An address: the resolver is never asked.
    Address(SocketAddr),
    /// A name and a port.
    Name(String, u16),
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
    let attempt = Attempt { hub: hub.clone(), link: link.clone(), established: false };
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
            () = cancelled(&self.link) => return,
            established = within(&self.link, establish(&self.hub, target)) => established,
        };
        match established {
            Err(failure) => self.hub.failed(self.link.key, failure),
            Ok(stream) => {
                self.established = true;
                self.hub.queue.push(Event::Connected(self.link.key));
                // Ends by its link's flags, or with the runtime.
                tokio::spawn(ConnTask::new(self.hub.clone(), self.link.clone(), stream, None));
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
            self.hub.failed(self.link.key, Failure::Panic("the connection attempt panicked".into()));
        }
        drop(self.link.with_out(Outbox::kill));
        self.link.forget_task();
        self.hub.went();
        self.hub.queue.push(Event::Gone(self.link.key));
    }
}

/// Ready once the link is closed by force. A close that still has something to send lets the attempt go on.
async fn cancelled(link: &Link) {
    std::future::poll_fn(|context| {
        link.register_task(context.waker());
        if link.control() & FORCE != 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Either timeout bounds the attempt, lookup included.
async fn within(
    link: &Link,
    attempt: impl Future<Output = Result<TcpStream, Failure>>,
) -> Result<TcpStream, Failure> {
    let timeouts = link.timeouts();
    match timeouts.read.into_iter().chain(timeouts.write).min() {
        None => attempt.await,
        Some(limit) => timeout(limit, attempt)
            .await
            .unwrap_or(Err(Failure::Timeout("connection timeout: not established in time"))),
    }
}

async fn establish(hub: &Hub, target: Target) -> Result<TcpStream, Failure> {
    let addresses = match target.host {
        Host::Address(address) => vec![address],
        Host::Name(host, port) => {
            let _counted = hub.lookup_begins();
            let found = resolve::lookup(&host, None).await.map_err(Failure::Lookup)?;
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
    let Some(first) = addresses.first().map(SocketAddr::is_ipv6) else { return addresses };
    let (ours, others): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| address.is_ipv6() == first);
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
    if stream.local_addr()? == stream.peer_addr()? {
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
        let given = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"].map(address).to_vec();
        let wanted = ["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"].map(address).to_vec();
        assert_eq!(interleave(given), wanted);
    }

    #[test]
    fn one_family_keeps_its_order() {
        let given = ["1.1.1.1:1", "2.2.2.2:1"].map(address).to_vec();
        assert_eq!(interleave(given.clone()), given);
    }
}
