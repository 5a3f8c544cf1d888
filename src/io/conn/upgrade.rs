//! A connection's task takes up a session on the way (STARTTLS): it stops receiving and says so, gets the session with
//! what was received for it, and goes on once the handshake is done.

use crate::io::conn::aside::{Aside, error_watch};
use crate::io::conn::handshake::Handshake;
use crate::io::conn::linger::Linger;
use crate::io::conn::link::{CLOSING, UPGRADING};
use crate::io::conn::task::Connection;
use crate::io::conn::wire::Wire;
use crate::io::event::Event;
use crate::io::failure::Failure;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

impl Connection {
    /// Ready when the handshake is done, or has failed.
    pub(super) fn poll_upgrade(
        &mut self,
        wire: &Arc<Wire>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Failure>> {
        if !matches!(self.aside, Aside::Upgrade(_)) {
            self.aside = Aside::Upgrade(Box::default());
            self.hub.inbox.push(Event::Upgrading(self.link.key));
        }
        let Aside::Upgrade(upgrade) = &mut self.aside else {
            return Poll::Pending;
        };
        let handshake = &mut upgrade.handshake;
        if handshake.is_none() {
            // What was written in the clear goes first; whoever sends the last of it wakes this task.
            if !self.link.sender.may_handshake() {
                return self.wait_to_handshake(wire, context);
            }
            let Some(session) = self.link.take_upgrade() else {
                return Poll::Pending;
            };
            *handshake = Some(Handshake::new(&session));
            // What the peer acknowledges is counted on from here.
            session.count_taken(self.link.bytes_sent());
            self.held_up = false;
            wire.secure(session);
        }
        let (Some(handshake), Some(tls)) = (handshake, wire.tls()) else {
            return Poll::Pending;
        };
        let before = tls.received();
        let polled = handshake.poll(wire, tls, &self.hub, context);
        if tls.received() != before {
            self.restart_read_timeout();
        }
        match polled {
            Poll::Ready(Ok(())) => {
                self.link.set_tls(tls);
                self.upgraded();
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(failure)) => {
                if tls.is_server() {
                    self.hub.handshakes_failed.fetch_add(1, Ordering::Relaxed);
                }
                Poll::Ready(Err(failure))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// While it waits: the timeouts go on, and a connection that is closing is not waited for longer than others.
    pub(super) fn poll_patience(
        &mut self,
        wire: &Wire,
        control: u32,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Failure>> {
        if control & CLOSING == 0 {
            self.mind_time(control, context);
            return Poll::Pending;
        }
        let limit = self.link.timeouts().write;
        let ended = self.has_whole_stream(wire);
        let Aside::Upgrade(upgrade) = &mut self.aside else {
            return Poll::Pending;
        };
        let linger = upgrade.linger.get_or_insert_with(|| Linger::new(limit));
        let over = if self.link.sender.size() == 0 {
            // Nobody needs the session.
            linger.poll(wire, &self.link, true, ended, context)
        } else {
            linger.poll_patience(wire, &self.link, context)
        };
        over.map(Ok)
    }

    /// What was written in the clear cannot be sent yet.
    fn wait_to_handshake(
        &mut self,
        wire: &Arc<Wire>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Failure>> {
        if let Some(error) = self.take_broken() {
            return Poll::Ready(Err(Failure::Sending(error)));
        }
        let Aside::Upgrade(upgrade) = &mut self.aside else {
            return Poll::Pending;
        };
        let watch = upgrade.watch.get_or_insert_with(|| error_watch(wire));
        if watch.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        upgrade.watch = Some(Box::pin(std::future::pending()));
        match self.meet_failure(wire) {
            Ok(()) => Poll::Pending,
            Err(failure) => Poll::Ready(Err(failure)),
        }
    }

    /// What waited for it may go.
    fn upgraded(&mut self) {
        self.aside = Aside::NONE;
        self.fresh = true;
        self.link.change_control(0, UPGRADING);
        self.hub.inbox.push(Event::Secured(self.link.key));
        self.link.sender.handshake_done();
        self.flush();
    }
}
