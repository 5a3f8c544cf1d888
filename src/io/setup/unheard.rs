//! Connections on their way to Python whose peers have said nothing: a server that was closed does not wait for them.

use crate::io::setup::arrival::Arrival;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::futures::OwnedNotified;

/// One's wait for its server's close, until its peer has said something.
#[derive(Default)]
pub(crate) struct Unheard(Option<Pin<Box<OwnedNotified>>>);

impl Unheard {
    /// Whether the server was closed and nothing is there, as far as the kernel knows now. Else the task is woken by that close.
    pub(crate) fn is_over(&mut self, arrival: &Arrival, context: &mut Context<'_>) -> bool {
        let Some(listener) = arrival.listener() else {
            return false;
        };
        let closing = &listener.closing;
        let wait = || Box::pin(closing.clone().notified_owned());
        let called = self.0.get_or_insert_with(wait).as_mut().poll(context);
        // Asked after it waits: a close between the two wakes it.
        if called == Poll::Pending && !listener.is_shut() {
            return false;
        }
        // Tokio may not have looked yet.
        !matches!(arrival.wire.something_waits(), Ok(true))
    }

    /// The peer has said something.
    pub(crate) fn is_heard(&mut self) {
        self.0 = None;
    }
}
