//! The accept loops of a server, and what the pump asks of them.

use crate::io::conn::wire::Wire;
use crate::io::event::Event;
use crate::io::failure::Failure;
use crate::io::hub::Hub;
use crate::io::keys::Key;
use crate::io::runtime::commands::Command;
use crate::io::setup::acceptor::Acceptor;
use crate::io::setup::listener::{Listener, Options};
use crate::io::setup::pending_connection::PendingConnection;
use crate::io::setup::proxy_wait;
use crate::io::setup::server_guard::ServerGuard;
use crate::io::sys::address::Address;
use crate::io::sys::platform::c;
use socket2::Socket;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// Connections accepted before others have their turn.
const ACCEPTS: usize = 64;
/// So many accepts that fail one after the other, each for a reason of its connection, are no coincidence.
const SKIPS: usize = 1024;
/// How long accepted connections may wait for Python before no more are accepted.
const PATIENCE: Duration = Duration::from_millis(20);
/// Out of descriptors or memory: wait this long, then ever longer.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// The same error is told once in this time.
const TELL_EVERY: Duration = Duration::from_secs(1);

impl Listener {
    /// Leaves the accept loops to whoever drives. `adopted`: the descriptors came from outside.
    pub fn start(
        hub: &Arc<Hub>,
        key: Key,
        sockets: Vec<Socket>,
        options: Options,
        adopted: bool,
    ) -> Result<Arc<Self>, Failure> {
        let mut accepting = Vec::with_capacity(sockets.len());
        for socket in &sockets {
            socket.set_nonblocking(true)?;
            if let Ok(Address::Ip(_)) = Address::own(socket) {
                // Linux hands it on to accepted sockets, which saves a system call for each.
                socket.set_tcp_nodelay(true)?;
            }
            accepting.push(socket.try_clone()?);
        }
        let listener = Arc::new(Self::new(key, sockets, options, adopted));
        hub.keys.came();
        let guard = Arc::new(ServerGuard {
            hub: hub.clone(),
            listener: listener.clone(),
        });
        for (at, socket) in accepting.into_iter().enumerate() {
            let task = accept_all(hub.clone(), listener.clone(), at, socket, guard.clone());
            hub.reactor.post(Command::Spawn(Box::pin(task)));
        }
        Ok(listener)
    }

    /// Stops listening at once; the connections live on.
    pub fn close(&self, hub: &Hub) {
        self.shut();
        for waker in self.waiting() {
            hub.reactor.post(Command::Call(waker));
        }
    }

    /// Python has got to know a connection of those accepted.
    pub fn served(&self, hub: &Hub) {
        self.served_at(|| hub.reactor.time());
    }

    /// Python is too far behind: connections are left in the backlog, where another process may take them.
    fn should_defer_accept(&self, hub: &Hub) -> bool {
        if hub.reactor.python_time() > PATIENCE {
            return true;
        }
        self.unserved_since().is_some_and(|since| {
            Duration::from_nanos(hub.reactor.time().saturating_sub(since)) > PATIENCE
        })
    }
}

async fn accept_all(
    hub: Arc<Hub>,
    listener: Arc<Listener>,
    at: usize,
    socket: Socket,
    guard: Arc<ServerGuard>,
) {
    match Acceptor::new(socket) {
        Ok(socket) => {
            let key = listener.key;
            let own = socket.own_address().ok();
            let accepting = Accepting {
                own: own.filter(|own| is_of_each(own) && !listener.adopted),
                hub: hub.clone(),
                listener,
                guard: guard.clone(),
                at,
                socket,
                pause: None,
                paused: FIRST_PAUSE,
                skipped: 0,
                told: None,
            };
            if let Err(error) = accepting.await {
                hub.inbox
                    .push(Event::AcceptFailed(key, Box::new(error.into())));
            }
        }
        Err(error) => hub
            .inbox
            .push(Event::AcceptFailed(listener.key, Box::new(error.into()))),
    }
    drop(guard);
}

/// Whether `own` of a listening socket is that of each connection.
fn is_of_each(own: &Address) -> bool {
    own.ip().is_none_or(|own| !own.ip().is_unspecified())
}

/// The accept loop of one address. Ends when the listener was closed, or with an error that no waiting mends.
struct Accepting {
    hub: Arc<Hub>,
    listener: Arc<Listener>,
    guard: Arc<ServerGuard>,
    /// Which of its tasks this is.
    at: usize,
    socket: Acceptor,
    /// The own address of each connection, unless the server listens on any.
    own: Option<Address>,
    /// Waiting for descriptors or memory.
    pause: Option<Pin<Box<Sleep>>>,
    paused: Duration,
    /// Errors of single connections since the last success.
    skipped: usize,
    /// The error that was told last, and when.
    told: Option<(i32, Instant)>,
}

impl Accepting {
    fn welcome(&self, wire: Wire, peer: Address) {
        let pending =
            PendingConnection::new(&self.hub, &self.listener, wire, peer, self.own.clone());
        proxy_wait::welcome(pending, &self.guard);
    }

    /// True: go on at once. False: wait. An error: accepting is over.
    fn failed(&mut self, error: io::Error) -> io::Result<bool> {
        let code = error.raw_os_error().unwrap_or(0);
        match code {
            // The listening socket itself is gone.
            c::EBADF | c::EINVAL | c::ENOTSOCK => return Err(error),
            c::EMFILE | c::ENFILE | c::ENOBUFS | c::ENOMEM => {}
            // A connection that ended before it was accepted, or a network error of its own (accept(2)). One after the other
            // and nothing else, it is the listening socket's own, and no accept will ever succeed.
            _ => {
                self.skipped += 1;
                if self.skipped < SKIPS {
                    return Ok(true);
                }
            }
        }
        let again = self
            .told
            .is_some_and(|(last, when)| last == code && when.elapsed() < TELL_EVERY);
        if !again {
            self.told = Some((code, Instant::now()));
            self.hub.inbox.push(Event::AcceptFailed(
                self.listener.key,
                Box::new(error.into()),
            ));
        }
        self.pause = Some(Box::pin(sleep(self.paused)));
        self.paused = (self.paused * 2).min(LONGEST_PAUSE);
        Ok(false)
    }

    /// Whether to wait until Python is back.
    fn waits_for_python(&self, context: &Context<'_>) -> bool {
        if !self.listener.should_defer_accept(&self.hub) {
            return false;
        }
        self.hub.reactor.wait_for_python(context.waker());
        // It may have come back just before, and then nobody would wake us.
        self.listener.should_defer_accept(&self.hub)
    }

    /// Whether to wait for descriptors. A connection that ended frees one, and its wake-up ends the pause.
    fn is_pausing(&mut self, context: &mut Context<'_>) -> bool {
        let Some(pause) = &mut self.pause else {
            return false;
        };
        let woken = self.listener.was_called(self.at);
        if !woken && pause.as_mut().poll(context).is_pending() {
            return true;
        }
        self.pause = None;
        false
    }
}

impl Future for Accepting {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let accepting = &mut *self;
        let pausing = accepting.is_pausing(context);
        accepting.listener.register(accepting.at, context.waker());
        if accepting.listener.is_shut() {
            return Poll::Ready(Ok(()));
        }
        if pausing {
            return Poll::Pending;
        }
        for _ in 0..ACCEPTS {
            if accepting.listener.is_full() || accepting.waits_for_python(context) {
                return Poll::Pending;
            }
            let Poll::Ready(accepted) = accepting.socket.poll_accept(context) else {
                accepting.skipped = 0;
                return Poll::Pending;
            };
            match accepted {
                Ok((wire, peer)) => {
                    accepting.paused = FIRST_PAUSE;
                    accepting.skipped = 0;
                    accepting.welcome(wire, peer);
                }
                Err(_) if accepting.listener.is_shut() => {
                    return Poll::Ready(Ok(()));
                }
                Err(error) => match accepting.failed(error) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => return Poll::Ready(Err(error)),
                },
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::inbox::memory::Limits;
    use crate::io::inbox::queue::Batch;
    use crate::io::setup::bind;
    use std::net::Ipv4Addr;

    /// An accept loop that nobody polls, so that errors can be given to it.
    fn idle() -> Accepting {
        let hub = Hub::new(Limits { read: 1, memory: 1 });
        let any_port = (Ipv4Addr::LOCALHOST, 0).into();
        let socket = bind::bind_address(any_port, &Options::default()).unwrap();
        socket.set_nonblocking(true).unwrap();
        let accepting = Acceptor::new(socket.try_clone().unwrap()).unwrap();
        let listener = Listener::new(hub.keys.new_key(), vec![socket], Options::default(), false);
        let listener = Arc::new(listener);
        hub.keys.came();
        let guard = Arc::new(ServerGuard {
            hub: hub.clone(),
            listener: listener.clone(),
        });
        Accepting {
            hub,
            listener,
            guard,
            own: None,
            at: 0,
            socket: accepting,
            pause: None,
            paused: FIRST_PAUSE,
            skipped: 0,
            told: None,
        }
    }

    fn told(accepting: &Accepting) -> usize {
        let mut batch = Batch::default();
        accepting.hub.inbox.queue.swap(&mut batch);
        batch.events.len()
    }

    fn in_runtime(test: impl FnOnce()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async { test() });
    }

    #[test]
    fn an_error_of_one_connection_is_skipped_without_a_pause() {
        in_runtime(|| {
            let mut accepting = idle();
            for code in [
                c::ECONNABORTED,
                c::EPERM,
                c::EPROTO,
                c::ENETDOWN,
                c::ENOPROTOOPT,
                c::EHOSTDOWN,
                c::EHOSTUNREACH,
                c::EOPNOTSUPP,
                c::ENETUNREACH,
                c::ETIMEDOUT,
            ] {
                assert!(
                    accepting
                        .failed(io::Error::from_raw_os_error(code))
                        .unwrap(),
                    "errno {code}"
                );
                assert!(
                    accepting.pause.is_none() && told(&accepting) == 0,
                    "errno {code}"
                );
            }
        });
    }

    #[test]
    fn an_error_of_one_connection_that_never_ends_is_told_and_paused_for() {
        in_runtime(|| {
            let mut accepting = idle();
            let mut failed = || accepting.failed(io::Error::from_raw_os_error(c::EOPNOTSUPP));
            for _ in 1..SKIPS {
                assert!(failed().unwrap());
            }
            assert!(!failed().unwrap());
            assert!(!failed().unwrap());
            assert!(accepting.pause.is_some());
            assert_eq!(told(&accepting), 1);
        });
    }

    #[test]
    fn an_error_of_the_listening_socket_ends_the_loop() {
        in_runtime(|| {
            for code in [c::EBADF, c::EINVAL, c::ENOTSOCK] {
                let error = idle()
                    .failed(io::Error::from_raw_os_error(code))
                    .unwrap_err();
                assert_eq!(error.raw_os_error(), Some(code));
            }
        });
    }

    #[test]
    fn want_of_descriptors_or_memory_pauses_ever_longer_and_is_told_once_a_cause() {
        in_runtime(|| {
            let mut accepting = idle();
            for code in [c::EMFILE, c::ENFILE, c::ENOBUFS, c::ENOMEM] {
                for repeated in 0..6 {
                    assert!(
                        !accepting
                            .failed(io::Error::from_raw_os_error(code))
                            .unwrap()
                    );
                    assert!(accepting.pause.is_some());
                    assert_eq!(told(&accepting), usize::from(repeated == 0), "errno {code}");
                }
            }
            assert_eq!(accepting.paused, LONGEST_PAUSE);
        });
    }
}
