//! The handshake of an accepted connection, before Python knows of it.

use crate::io::conn::handshake::Handshake;
use crate::io::failure::{Failure, words};
use crate::io::setup::pending_connection::{Learned, PendingConnection};
use crate::io::setup::server_guard::ServerGuard;
use crate::io::tls::config::ServerTls;
use crate::io::tls::failure::TlsFailure;
use crate::io::tls::shared::Tls;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

/// Ends with the connection announced or refused.
pub(crate) struct HandshakeWait {
    /// None once it has ended.
    pending: Option<(PendingConnection, Learned)>,
    handshake: Box<Handshake>,
    /// The server is to be known as long as it may have something to tell.
    _guard: Arc<ServerGuard>,
}

/// What follows an accept, and its PROXY header. In the runtime's context.
pub(crate) fn go_on(pending: PendingConnection, mut learned: Learned, guard: &Arc<ServerGuard>) {
    let Some(config) = pending.listener().and_then(|listener| listener.tls()) else {
        return pending.announce(learned);
    };
    match learned.error.take() {
        Some(_) if learned.bytes.is_empty() => return count(&pending),
        Some(error) => return failed(pending, learned, error.into()),
        None => {}
    }
    let session = match session(&config, &mut learned) {
        Ok(session) => session,
        Err(failure) => return failed(pending, learned, Failure::Tls(failure.into())),
    };
    let handshake = Box::new(Handshake::new(&session));
    pending.wire.secure(session);
    guard.hub.reactor.spawn(HandshakeWait {
        pending: Some((pending, learned)),
        handshake,
        _guard: guard.clone(),
    });
}

fn session(config: &Arc<ServerTls>, learned: &mut Learned) -> Result<Tls, TlsFailure> {
    let session = Tls::server(config)?;
    // What came with the header.
    session.hold(std::mem::take(&mut learned.bytes));
    Ok(session)
}

impl Future for HandshakeWait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Self {
            pending, handshake, ..
        } = &mut *self;
        let Some((waiting, _)) = pending else {
            return Poll::Ready(());
        };
        let Some(tls) = waiting.wire.tls() else {
            return Poll::Ready(());
        };
        let Poll::Ready(outcome) = handshake.poll(&waiting.wire, tls, &waiting.hub, context) else {
            return Poll::Pending;
        };
        let told = handshake.is_to_be_told();
        if let Some((pending, learned)) = self.pending.take() {
            match outcome {
                Ok(()) => pending.announce(learned),
                Err(failure) if told => failed(pending, learned, failure),
                Err(_) => count(&pending),
            }
        }
        Poll::Ready(())
    }
}

fn count(pending: &PendingConnection) {
    pending
        .hub
        .handshakes_failed
        .fetch_add(1, Ordering::Relaxed);
}

fn failed(pending: PendingConnection, learned: Learned, failure: Failure) {
    count(&pending);
    let failure = match failure {
        Failure::Os(error) => Failure::Tls(TlsFailure::lost(&words(&error)).into()),
        failure => failure,
    };
    pending.tell(failure, learned.header);
}
