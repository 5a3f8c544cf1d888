//! The handshake of an accepted connection, before Python knows of it.

use crate::io::conn::handshake::Handshake;
use crate::io::failure::Failure;
use crate::io::setup::alive::Alive;
use crate::io::setup::arrival::{Arrival, Learned};
use crate::io::tls::config::Server;
use crate::io::tls::failure::TlsFailure;
use crate::io::tls::shared::Tls;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

/// Ends with the connection announced or refused.
pub(crate) struct Greeting {
    /// None once it has ended.
    arrival: Option<(Arrival, Learned)>,
    handshake: Box<Handshake>,
    /// The server is to be known as long as it may have something to tell.
    _alive: Arc<Alive>,
}

/// What follows an accept, and its PROXY header. In the runtime's context.
pub(crate) fn go_on(arrival: Arrival, mut learned: Learned, alive: &Arc<Alive>) {
    let Some(config) = arrival.listener().and_then(|listener| listener.tls()) else {
        return arrival.announce(learned);
    };
    match learned.error.take() {
        Some(_) if learned.bytes.is_empty() => return count(&arrival),
        Some(error) => return failed(arrival, learned, error.into()),
        None => {}
    }
    let session = match session(&config, &mut learned) {
        Ok(session) => session,
        Err(failure) => return failed(arrival, learned, Failure::Tls(failure.into())),
    };
    let handshake = Box::new(Handshake::new(&session));
    arrival.wire.secure(session);
    if let Some(listener) = arrival.listener() {
        listener.handshake_begins();
    }
    alive.hub.reactor.spawn(Greeting {
        arrival: Some((arrival, learned)),
        handshake,
        _alive: alive.clone(),
    });
}

fn session(config: &Arc<Server>, learned: &mut Learned) -> Result<Tls, TlsFailure> {
    let session = Tls::server(config)?;
    // What came with the header.
    session.hold(std::mem::take(&mut learned.bytes));
    Ok(session)
}

impl Greeting {
    /// The connection, whose handshake is over.
    fn end(&mut self) -> Option<(Arrival, Learned)> {
        let ended = self.arrival.take();
        if let Some(listener) = ended.as_ref().and_then(|(arrival, _)| arrival.listener()) {
            listener.handshake_ended();
        }
        ended
    }
}

impl Future for Greeting {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Self {
            arrival, handshake, ..
        } = &mut *self;
        let Some((waiting, _)) = arrival else {
            return Poll::Ready(());
        };
        let Some(tls) = waiting.wire.tls() else {
            return Poll::Ready(());
        };
        let Poll::Ready(outcome) = handshake.poll(&waiting.wire, tls, &waiting.hub, context) else {
            return Poll::Pending;
        };
        let told = handshake.is_to_be_told();
        if let Some((arrival, learned)) = self.end() {
            match outcome {
                Ok(()) => arrival.announce(learned),
                Err(failure) if told => failed(arrival, learned, failure),
                Err(_) => count(&arrival),
            }
        }
        Poll::Ready(())
    }
}

impl Drop for Greeting {
    fn drop(&mut self) {
        drop(self.end());
    }
}

fn count(arrival: &Arrival) {
    arrival
        .hub
        .handshakes_failed
        .fetch_add(1, Ordering::Relaxed);
}

fn failed(arrival: Arrival, learned: Learned, failure: Failure) {
    count(&arrival);
    let failure = match failure {
        Failure::Os(error) => Failure::Tls(TlsFailure::lost(&error).into()),
        failure => failure,
    };
    arrival.tell(failure, learned.header);
}
