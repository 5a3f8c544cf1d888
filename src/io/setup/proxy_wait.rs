//! A connection whose PROXY header is awaited, before Python knows of it.
//!
//! What is received is kept and looked at as a whole: a peek would leave the kernel ready again and again for who sends a
//! header byte by byte, and what follows the header in the same segment is the connection's first data.

use crate::io::conn::wire::Wire;
use crate::io::proxy::fault::Fault;
use crate::io::proxy::header::Header;
use crate::io::proxy::parse::parse;
use crate::io::proxy::parsed::Parsed;
use crate::io::proxy::policy::Trust;
use crate::io::setup::handshake_wait;
use crate::io::setup::pending_connection::{Learned, PendingConnection};
use crate::io::setup::server_guard::ServerGuard;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep};

/// One system call receives this much at most.
const PIECE: usize = 2048;
/// A header of so many bytes is not long.
const SHORT: usize = 4096;
/// So many before others have their turn.
const READS: usize = 16;

/// Ends with the connection announced or refused.
pub(crate) struct ProxyWait {
    /// None once it has ended.
    pending: Option<PendingConnection>,
    require: bool,
    received: Vec<u8>,
    /// The next receive does not ask Tokio first, which may not have looked yet.
    unasked: bool,
    deadline: Option<Pin<Box<Sleep>>>,
    /// The header may be long.
    room: Option<OwnedSemaphorePermit>,
    /// The server is to be known as long as it may have something to tell.
    guard: Arc<ServerGuard>,
}

/// What a receive has met.
enum Met {
    Bytes,
    End,
    Error(io::Error),
}

/// Welcomes a connection as its server's policy wants it. In the runtime's context.
pub(crate) fn welcome(pending: PendingConnection, guard: &Arc<ServerGuard>) {
    let Some(policy) = pending.policy() else {
        handshake_wait::go_on(pending, Learned::default(), guard);
        return;
    };
    match policy.trust(pending.peer()) {
        Trust::Plain => handshake_wait::go_on(pending, Learned::default(), guard),
        Trust::None => pending.refuse(Fault::Stranger, true),
        Trust::Header => {
            let task = ProxyWait {
                require: policy.require,
                received: Vec::new(),
                unasked: true,
                deadline: policy.timeout.map(|timeout| Box::pin(sleep(timeout))),
                room: None,
                pending: Some(pending),
                guard: guard.clone(),
            };
            guard.hub.reactor.spawn(task);
        }
    }
}

/// What becomes of the connection.
enum Fate {
    Served(Learned),
    Refused(Fault, bool),
}

impl ProxyWait {
    /// None: nothing is there after all.
    fn poll_receive(&mut self, wire: &Wire, context: &mut Context<'_>) -> Poll<Option<Met>> {
        let mut piece = [0; PIECE];
        let got = if std::mem::take(&mut self.unasked) {
            wire.receive_unasked(&mut piece)
        } else {
            ready!(wire.poll_read_ready(context));
            wire.receive(&mut piece)
        };
        Poll::Ready(match got {
            Ok(None) => None,
            Ok(Some(0)) => Some(Met::End),
            Ok(Some(count)) => {
                self.received.extend_from_slice(&piece[..count]);
                Some(Met::Bytes)
            }
            Err(error) => Some(Met::Error(error)),
        })
    }

    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        let deadline = self.deadline.as_mut();
        deadline.is_some_and(|deadline| deadline.as_mut().poll(context).is_ready())
    }

    fn poll_fate(&mut self, wire: &Wire, context: &mut Context<'_>) -> Poll<Fate> {
        let mut late = false;
        for _ in 0..READS {
            match self.poll_receive(wire, context) {
                Poll::Ready(None) => {}
                Poll::Ready(Some(Met::Bytes)) => {
                    if let Some(fate) = self.decide() {
                        return Poll::Ready(fate);
                    }
                }
                Poll::Ready(Some(Met::End)) => {
                    return Poll::Ready(self.go_without(Fault::Truncated, None));
                }
                Poll::Ready(Some(Met::Error(error))) => {
                    return Poll::Ready(self.go_without(Fault::Truncated, Some(error)));
                }
                Poll::Pending if late => return Poll::Ready(self.go_without(Fault::Late, None)),
                Poll::Pending if self.is_late(context) => {
                    // The process may have stood still: the kernel is asked once more.
                    (late, self.unasked) = (true, true);
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// What the received bytes say; None: not enough.
    fn decide(&mut self) -> Option<Fate> {
        match parse(&self.received) {
            Parsed::More { .. } if self.received.len() > SHORT => self.make_room(),
            Parsed::More { .. } => None,
            Parsed::Broken(fault) => Some(Fate::Refused(fault, true)),
            Parsed::Other if self.require => Some(Fate::Refused(Fault::NoHeader, true)),
            Parsed::Other => Some(self.serve(None, 0, None)),
            Parsed::Whole(header, length) => Some(self.serve(Some(header), length, None)),
        }
    }

    /// None: it may be long.
    fn make_room(&mut self) -> Option<Fate> {
        if self.room.is_none() {
            let free = self.guard.hub.long_headers.clone();
            self.room = free.try_acquire_owned().ok();
        }
        match self.room {
            Some(_) => None,
            None => Some(Fate::Refused(Fault::Crowded, true)),
        }
    }

    /// No whole header comes any more.
    fn go_without(&mut self, fault: Fault, error: Option<io::Error>) -> Fate {
        let sure = matches!(parse(&self.received), Parsed::More { sure: true });
        if !sure && !self.require {
            return self.serve(None, 0, error);
        }
        // Who only looks whether somebody listens has done nothing wrong.
        let told = fault == Fault::Late || !self.received.is_empty();
        Fate::Refused(fault, told)
    }

    fn serve(&mut self, header: Option<Header>, length: usize, error: Option<io::Error>) -> Fate {
        let bytes = self.received.split_off(length);
        Fate::Served(Learned {
            header,
            bytes,
            error,
        })
    }
}

impl Future for ProxyWait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(pending) = self.pending.take() else {
            return Poll::Ready(());
        };
        match self.poll_fate(&pending.wire, context) {
            Poll::Pending => {
                self.pending = Some(pending);
                return Poll::Pending;
            }
            Poll::Ready(Fate::Served(learned)) => {
                handshake_wait::go_on(pending, learned, &self.guard)
            }
            Poll::Ready(Fate::Refused(fault, told)) => pending.refuse(fault, told),
        }
        Poll::Ready(())
    }
}
