//! A session's handshake, as a step of whoever has the wire: an attempt, an accepted connection on its way to Python, or
//! a connection's task (STARTTLS).

use crate::io::conn::incoming::with_incoming;
use crate::io::conn::transmit::send_records;
use crate::io::conn::wire::Wire;
use crate::io::failure::Failure;
use crate::io::hub::Hub;
use crate::io::tls::failure::TlsFailure;
use crate::io::tls::first_bytes::FirstBytes;
use crate::io::tls::shared::{Opened, Tls};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// One system call receives this much at most.
const FLIGHT: usize = 32 * 1024;
/// Of one that is late: receives of what the kernel has.
const LAST_STEPS: usize = 4;
/// Reads that are dropped of a peer whose handshake failed, so that the close is none that destroys our alert.
const DROPS: usize = 4;
/// See the module's page.
pub(crate) struct Handshake {
    began: Instant,
    /// How long it may take; None: as long as it does. What the client asks for may change it.
    limit: Option<Duration>,
    timer: Option<Pin<Box<Sleep>>>,
    /// Nothing was processed yet: a client begins, and what came before the session is to be looked at.
    fresh: bool,
    /// The peer has said something.
    peer_spoke: bool,
    /// It took too long.
    late: bool,
    /// What that begins with.
    first: FirstBytes,
    /// Its turn in the lane has come, and the kernel had nothing then.
    entered: bool,
}

impl Handshake {
    /// In the runtime's context, over `wire`, which has a session.
    pub(crate) fn new(tls: &Tls) -> Self {
        let limit = tls.terms().limit;
        Self {
            began: Instant::now(),
            limit,
            timer: limit.map(|limit| Box::pin(sleep(limit))),
            fresh: true,
            peer_spoke: tls.held() > 0,
            late: false,
            first: FirstBytes::default(),
            entered: false,
        }
    }

    /// Whether its failure is of interest: who only looks whether somebody listens ends without a byte.
    pub(crate) fn is_to_be_told(&self) -> bool {
        self.peer_spoke || self.late
    }

    /// Ready when the session is open, or has failed: then the peer was told, as far as it listens.
    pub(crate) fn poll(
        &mut self,
        wire: &Wire,
        tls: &Tls,
        hub: &Hub,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Failure>> {
        let polled = match self.poll_steps(wire, tls, hub, context) {
            Poll::Pending if self.is_late(tls, context) => {
                match self.is_done_after_all(wire, tls, context) {
                    Ok(true) => Poll::Ready(Ok(())),
                    Ok(false) => {
                        return Poll::Ready(Err(Failure::Tls(TlsFailure::late().into())));
                    }
                    Err(error) => Poll::Ready(Err(error)),
                }
            }
            polled => polled,
        };
        polled.map_err(|error| {
            farewell(wire, tls);
            error.into()
        })
    }

    /// The time is over: whether what the kernel has by now ends the handshake. The process may have stood still.
    pub(crate) fn is_done_after_all(
        &mut self,
        wire: &Wire,
        tls: &Tls,
        context: &mut Context<'_>,
    ) -> io::Result<bool> {
        for _ in 0..LAST_STEPS {
            if tls.is_open() || !self.step(wire, tls, true)? {
                break;
            }
            if self.poll_send(wire, tls, context)?.is_pending() {
                return Ok(false);
            }
        }
        Ok(tls.is_open())
    }

    fn is_late(&mut self, tls: &Tls, context: &mut Context<'_>) -> bool {
        let limit = tls.terms().limit;
        if self.limit != limit {
            self.limit = limit;
            let rest = limit.map(|limit| limit.saturating_sub(self.began.elapsed()));
            self.timer = rest.map(|rest| Box::pin(sleep(rest)));
        }
        let timer = self.timer.as_mut();
        self.late = timer.is_some_and(|timer| timer.as_mut().poll(context).is_ready());
        self.late
    }

    fn poll_steps(
        &mut self,
        wire: &Wire,
        tls: &Tls,
        hub: &Hub,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if !self.fresh {
                if self.poll_send(wire, tls, context)?.is_pending() {
                    return Poll::Pending;
                }
                if tls.is_open() {
                    return Poll::Ready(Ok(()));
                }
                if wire.poll_read_ready(context).is_pending() {
                    return Poll::Pending;
                }
            }
            if !std::mem::take(&mut self.entered) && !hub.reactor.enter_lane(context.waker()) {
                return Poll::Pending;
            }
            self.entered = !self.step(wire, tls, false)?;
        }
    }

    /// Ready when the peer has all that the handshake needs.
    fn poll_send(&self, wire: &Wire, tls: &Tls, context: &mut Context<'_>) -> io::Result<Poll<()>> {
        match self.poll_send_all(wire, tls, context) {
            // Who has sent all it had is gone before our tickets come: it is the connection that meets its end.
            Err(error) if is_gone(&error) && tls.is_open_there() => Ok(Poll::Ready(())),
            Err(error) if is_gone(&error) && wire.ends_only() => Err(cut_short()),
            sent => sent,
        }
    }

    /// What the kernel does not take is told when it has room.
    fn poll_send_all(
        &self,
        wire: &Wire,
        tls: &Tls,
        context: &mut Context<'_>,
    ) -> io::Result<Poll<()>> {
        loop {
            let mut records = Vec::new();
            tls.take_sealed(&mut records);
            if records.is_empty() {
                return Ok(Poll::Ready(()));
            }
            let mut tried = false;
            let sent = wire.try_write(|| {
                tried = true;
                match send_records(wire, tls, &records) {
                    Ok(offer) if !offer.room => Err(io::ErrorKind::WouldBlock.into()),
                    result => result,
                }
            });
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !tried {
                        // Tokio has not looked yet: a Unix socket is connected at once, and a hello may come with a PROXY
                        // header, which was read unasked.
                        tls.put_back(&records)?;
                    }
                    if wire.poll_write_ready(context).is_pending() {
                        return Ok(Poll::Pending);
                    }
                }
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
    }

    /// What has come is processed; false: nothing had. `unasked`: whatever Tokio knows.
    fn step(&mut self, wire: &Wire, tls: &Tls, unasked: bool) -> io::Result<bool> {
        let held = tls.held();
        with_incoming(held, FLIGHT, |buffer| {
            let mut got = 0;
            if !std::mem::take(&mut self.fresh) {
                let received = if unasked {
                    wire.receive_unasked(&mut buffer[held..])
                } else {
                    wire.receive(&mut buffer[held..])
                };
                got = match received {
                    Ok(Some(got @ 1..)) => got,
                    Ok(None) => return Ok(false),
                    Ok(Some(0)) => return Err(cut_short()),
                    // A Unix socket tells so of a peer that left something unread.
                    Err(error) => return wire.end_of(error).and_then(|_| Err(cut_short())),
                };
                tls.count_received(got);
            }
            let records = &mut buffer[..held + got];
            self.peer_spoke |= got > 0;
            if !self.first.are_checked() && !records.is_empty() {
                tls.show_held(&mut records[..held]);
                let checked = self.first.check(records, |alert| tls.say(alert));
                checked.map_err(io::Error::other)?;
            }
            let mut early = Vec::new();
            let opened = tls.open(records, |plain| early.extend_from_slice(plain));
            let Opened { ended, .. } = opened.map_err(io::Error::other)?;
            if ended && !tls.is_open() {
                return Err(cut_short());
            }
            tls.keep(&early)?;
            Ok(true)
        })
    }
}

/// Whether it is what a send meets where the peer has closed.
fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

fn cut_short() -> io::Error {
    io::Error::other(TlsFailure::cut_short())
}

/// Sends the alert, as far as there is one and the kernel takes it, and then the end.
fn farewell(wire: &Wire, tls: &Tls) {
    let mut records = Vec::new();
    tls.take_sealed(&mut records);
    let _ = send_records(wire, tls, &records);
    wire.finish();
    let mut waste = [0; 4096];
    for _ in 0..DROPS {
        if !matches!(wire.receive_unasked(&mut waste), Ok(Some(1..))) {
            return;
        }
    }
}
