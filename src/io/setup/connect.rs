//! From a host and a port to a connection: lookup, Happy Eyeballs (RFC 8305), the connection's task.

use crate::io::conn::handshake::Handshake;
use crate::io::conn::linger::PATIENCE;
use crate::io::conn::link::{CLOSING, FORCE, Link};
use crate::io::conn::stream::Stream;
use crate::io::conn::task::ConnTask;
use crate::io::conn::wire::Wire;
use crate::io::event::Event;
use crate::io::failure::Failure;
use crate::io::hub::Hub;
use crate::io::runtime::commands::Command;
use crate::io::setup::dial::{Connected, Setup};
use crate::io::setup::family::is_of;
use crate::io::setup::preface;
use crate::io::setup::race::Race;
use crate::io::setup::resolve;
use crate::io::setup::unix;
use crate::io::sys::address::Address;
use crate::io::tls::config::ClientTls;
use crate::io::tls::shared::Tls;
use rustls::pki_types::ServerName;
use socket2::Socket;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// Whom to connect to.
#[derive(Debug, Clone)]
pub enum Host {
    /// An address: the resolver is never asked.
    Address(SocketAddr),
    /// A name and a port.
    Name(String, u16),
    /// A Unix socket's.
    Unix(Address),
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(formatter),
            Self::Name(name, port) => write!(formatter, "{name}:{port}"),
            Self::Unix(address) => address.fmt(formatter),
        }
    }
}

/// An attempt's arguments.
#[derive(Debug)]
pub struct Target {
    /// Whom to connect to.
    pub host: Host,
    /// How.
    pub setup: Setup,
    /// AF_INET or AF_INET6; None: both.
    pub family: Option<i32>,
    /// TLS, and the name that the peer must have; None: plain.
    pub tls: Option<(Arc<ClientTls>, ServerName<'static>)>,
}

/// Leaves the attempt to whoever drives. What becomes of it comes as events of `link`'s key.
pub fn start(hub: &Arc<Hub>, link: &Arc<Link>, target: Target) {
    hub.keys.came();
    let attempt = Attempt {
        hub: hub.clone(),
        link: link.clone(),
        established: false,
    };
    hub.reactor
        .post(Command::Spawn(Box::pin(attempt.run(target))));
}

/// Takes over a connection that was made elsewhere, which `link` is from here on; whoever drives tells of it as if it had
/// just been established. `socket` must not block.
pub fn take_over(hub: &Arc<Hub>, link: &Arc<Link>, socket: Socket) {
    let own = Address::own(&socket);
    let stream = match &own {
        Ok(own) => Stream::of(socket, own),
        // Whatever it is, its close is a stream's.
        Err(_) => Stream::Unix(socket),
    };
    // Of no concern to a socket that cannot.
    let _ = stream.set_nodelay(true);
    if let (Ok(peer), Ok(own)) = (Address::peer(stream.socket()), own) {
        link.set_ends(peer, own);
    }
    hub.keys.came();
    let mut attempt = Attempt {
        hub: hub.clone(),
        link: link.clone(),
        established: false,
    };
    match hub.reactor.in_context(|| Wire::plain(stream)) {
        Some(Ok(wire)) => {
            let task = attempt.task(wire);
            let begin = async move { attempt.establish(task) };
            hub.reactor.post(Command::Spawn(Box::pin(begin)));
        }
        Some(Err(error)) => hub.inbox.push(Event::failed(link.key, error.into())),
        None => {}
    }
}

/// Says `Gone` for an attempt that ends without a connection, however it ends.
struct Attempt {
    hub: Arc<Hub>,
    link: Arc<Link>,
    established: bool,
}

impl Attempt {
    async fn run(mut self, mut target: Target) {
        let preface = std::mem::take(&mut target.setup.preface);
        let mut race = Race::new(std::mem::take(&mut target.setup));
        let tls = target.tls.take();
        let mut patience = Patience::default();
        let ended = tokio::select! {
            biased;
            given_up = given_up(&self.link, &mut patience) => match given_up {
                GivenUp::Closed => return,
                GivenUp::Late => race.late(),
            },
            established = establish(&self.hub, target, &mut race) => match established {
                Ok(Some(connected)) => Ok(connected),
                Ok(None) => Err(race.failure()),
                Err(failure) => Err(failure),
            },
        };
        let introduced = match ended {
            Ok(connected) => self.introduce(connected, &preface, &mut patience).await,
            Err(failure) => Err(failure),
        };
        match introduced {
            Err(failure) => self.hub.inbox.push(Event::failed(self.link.key, failure)),
            Ok(None) => {}
            Ok(Some(Connected { wire, peer, own })) => {
                self.link.set_ends(peer, own);
                match tls {
                    None => {
                        let task = self.task(wire);
                        self.establish(task);
                    }
                    Some((config, name)) => self.secure(wire, &config, name, &mut patience).await,
                }
            }
        }
    }

    /// Sends the preface, if there is one. None: the link was closed by force.
    async fn introduce(
        &self,
        connected: Connected,
        preface: &[u8],
        patience: &mut Patience,
    ) -> Result<Option<Connected>, Failure> {
        if preface.is_empty() {
            return Ok(Some(connected));
        }
        tokio::select! {
            biased;
            given_up = given_up(&self.link, patience) => match given_up {
                GivenUp::Closed => {
                    connected.wire.reset();
                    Ok(None)
                }
                GivenUp::Late => Err(Failure::Timeout("the peer took no PROXY header in time")),
            },
            sent = preface::send(&connected.wire, preface) => {
                sent?;
                Ok(Some(connected))
            }
        }
    }

    /// The handshake, for which the attempt's timeouts hold, too.
    async fn secure(
        &mut self,
        wire: Wire,
        config: &ClientTls,
        name: ServerName<'static>,
        patience: &mut Patience,
    ) {
        let mut handshake = match Tls::client(config, name) {
            Ok(session) => {
                let handshake = Handshake::new(&session);
                wire.secure(session);
                handshake
            }
            Err(failure) => {
                let failure = Failure::Tls(failure.into());
                return self.hub.inbox.push(Event::failed(self.link.key, failure));
            }
        };
        let outcome = tokio::select! {
            biased;
            given_up = given_up(&self.link, patience) => match given_up {
                GivenUp::Closed => return wire.reset(),
                GivenUp::Late => Err(None),
            },
            outcome = run_handshake(&self.hub, &wire, &mut handshake) => outcome.map_err(Some),
        };
        let outcome = match outcome {
            Ok(()) => Ok(()),
            Err(Some(failure)) => Err(failure),
            Err(None) => end_late(&wire, &mut handshake).await,
        };
        match outcome {
            Ok(()) => {
                let task = self.task(wire);
                self.establish(task);
            }
            Err(failure) => self.hub.inbox.push(Event::failed(self.link.key, failure)),
        }
    }

    /// Of the connection that it has come to. Before the pump hears of that: the link must know its descriptor by then.
    fn task(&mut self, wire: Wire) -> ConnTask {
        self.established = true;
        ConnTask::new(self.hub.clone(), self.link.clone(), wire, None)
    }

    fn establish(&self, task: ConnTask) {
        self.hub.inbox.push(Event::Connected(self.link.key));
        self.hub.reactor.spawn(task);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.established {
            return;
        }
        if std::thread::panicking() {
            self.hub.inbox.push(Event::failed(
                self.link.key,
                Failure::Panic("the connection attempt panicked".into()),
            ));
        }
        self.link.sender.end();
        self.link.forget_task();
        self.hub.keys.went();
        self.hub.inbox.push(Event::Gone(self.link.key));
    }
}

/// Why an attempt is to end before its time.
enum GivenUp {
    /// The link was closed by force.
    Closed,
    /// A timeout has passed.
    Late,
}

/// Ready when the attempt is to end. Either timeout bounds it, lookup included, and may change while it lasts. A close
/// that still has something to send lets the attempt go on, for as long as a closing connection may stand still.
async fn given_up(link: &Link, patience: &mut Patience) -> GivenUp {
    std::future::poll_fn(|context| {
        link.register_task(context.waker());
        if link.control() & FORCE != 0 {
            return Poll::Ready(GivenUp::Closed);
        }
        patience
            .poll(limit_of(link), context)
            .map(|()| GivenUp::Late)
    })
    .await
}

/// How long an attempt may still take, through all that it consists of.
#[derive(Default)]
struct Patience {
    /// Some: as of the last look.
    limit: Option<Option<Duration>>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    /// Ready when `limit` has passed, which begins anew where it is another than before.
    fn poll(&mut self, limit: Option<Duration>, context: &mut Context<'_>) -> Poll<()> {
        if self.limit != Some(limit) {
            self.limit = Some(limit);
            self.timer = limit.map(|limit| Box::pin(sleep(limit)));
        }
        match &mut self.timer {
            Some(timer) => timer.as_mut().poll(context),
            None => Poll::Pending,
        }
    }
}

fn limit_of(link: &Link) -> Option<Duration> {
    let timeouts = link.timeouts();
    if link.control() & CLOSING != 0 {
        return Some(timeouts.write.unwrap_or(PATIENCE));
    }
    timeouts.read.into_iter().chain(timeouts.write).min()
}

async fn run_handshake(hub: &Hub, wire: &Wire, handshake: &mut Handshake) -> Result<(), Failure> {
    std::future::poll_fn(|context| match wire.tls() {
        Some(tls) => handshake.poll(wire, tls, hub, context),
        None => Poll::Pending,
    })
    .await
}

/// Its time is over, unless what the kernel has by now ends the handshake.
async fn end_late(wire: &Wire, handshake: &mut Handshake) -> Result<(), Failure> {
    let done = std::future::poll_fn(|context| {
        let tls = wire.tls();
        Poll::Ready(tls.map_or(Ok(false), |tls| {
            handshake.is_done_after_all(wire, tls, context)
        }))
    });
    match done.await? {
        true => Ok(()),
        false => Err(Failure::Timeout("connection timeout: in the TLS handshake")),
    }
}

/// None: all attempts of `race` have failed. An error: it did not come to any.
async fn establish(
    hub: &Arc<Hub>,
    target: Target,
    race: &mut Race,
) -> Result<Option<Connected>, Failure> {
    let (name, port) = match target.host {
        Host::Address(address) if is_of(address.ip(), target.family) => {
            return Ok(race.run(vec![address]).await);
        }
        // The resolver refuses a literal of the other family with the right code.
        Host::Address(address) => (address.ip().to_string(), address.port()),
        Host::Name(name, port) => (name, port),
        Host::Unix(address) => {
            let options = race.leave_to_unix(address.clone());
            return Ok(match unix::dial(&address, &options).await {
                Ok(connected) => Some(connected),
                Err(error) => {
                    race.unix_failed(error);
                    None
                }
            });
        }
    };
    let found = {
        let _counted = hub.keys.lookup_begins();
        resolve::lookup(&name, target.family).await
    };
    let addresses = found.map_err(Failure::Lookup)?.into_iter();
    let addresses = addresses.map(|address| with_port(address, port)).collect();
    Ok(race.run(addresses).await)
}

fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}
