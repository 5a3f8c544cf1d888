//! What the pump asks of a connection: it changes what both sides see of it, and calls its task.

use crate::io::conn::link::{
    CLOSING, FORCE, GIVEN_AWAY, Link, NOT_READING, READ_AFRESH, READ_OFF, STREAM_FULL, Timeouts,
    UPGRADING, WRITE_AFRESH,
};
use crate::io::conn::outcome::{By, Flush};
use crate::io::conn::transmit::transmit;
use crate::io::event::Event;
use crate::io::hub::Hub;
use crate::io::runtime::commands::Command;
use crate::io::tls::config::{ClientTls, ServerTls};
use crate::io::tls::failure::TlsFailure;
use crate::io::tls::shared::Tls;
use rustls::pki_types::ServerName;
use std::sync::Arc;

/// A session that has not begun.
#[derive(Debug)]
pub struct Session(Tls);

impl Session {
    /// A client's, who expects `name`.
    pub fn client(config: &ClientTls, name: ServerName<'static>) -> Result<Self, TlsFailure> {
        Tls::client(config, name).map(Self)
    }

    /// A server's.
    pub fn server(config: &Arc<ServerTls>) -> Result<Self, TlsFailure> {
        Tls::server(config).map(Self)
    }
}

impl Link {
    fn set(self: &Arc<Self>, hub: &Hub, set: u32, clear: u32) {
        self.change_control(set, clear);
        hub.reactor.post(Command::Wake(self.clone()));
    }

    /// Python's callback has had what came: the peer's time to answer begins. The first time it is the connection itself.
    pub fn note_delivered(self: &Arc<Self>, hub: &Hub) {
        if self.note_delivered_at(|| hub.reactor.time()) {
            hub.reactor.post(Command::Wake(self.clone()));
        }
    }

    /// The pump judged a timeout void (there was progress since, or data is waiting). Both timeouts restart.
    pub fn restart_timeouts(self: &Arc<Self>, hub: &Hub) {
        self.new_epoch();
        self.set(hub, READ_AFRESH | WRITE_AFRESH, 0);
    }

    /// Reading on or off.
    pub fn set_reading(self: &Arc<Self>, hub: &Hub, on: bool) {
        self.new_epoch();
        if on {
            self.set(hub, READ_AFRESH, READ_OFF)
        } else {
            self.set(hub, READ_OFF, 0)
        }
    }

    /// One more stream of the app's holds enough, or one less. Called with the interpreter's lock held, which keeps count
    /// and flag in step.
    pub fn pause_for_stream(self: &Arc<Self>, hub: &Hub, pause: bool) {
        let others = self.count_full_stream(pause);
        if pause {
            self.set(hub, STREAM_FULL, 0);
        } else if others == 0 {
            self.set(hub, 0, STREAM_FULL);
        }
    }

    /// Writing on or off. The caller flushes afterwards.
    pub fn set_writing(self: &Arc<Self>, hub: &Hub, on: bool) {
        self.new_epoch();
        self.sender.set_off(!on);
        self.set(hub, WRITE_AFRESH, 0);
    }

    /// Ends the connection: after what was written, or at once with a reset.
    pub fn close(self: &Arc<Self>, hub: &Hub, force: bool) {
        self.sender.close(force);
        self.set(hub, if force { FORCE } else { CLOSING }, NOT_READING);
    }

    /// Leaves the connection to somebody else who has a duplicate of its descriptor; see `Reactor::task_is_done_with`.
    pub fn give_away(self: &Arc<Self>, hub: &Hub) {
        self.sender.close(false);
        self.set(hub, GIVEN_AWAY, NOT_READING);
    }

    /// A session is to come: what is written from now on waits for it, and the task receives no more, which it tells by
    /// [`Event::Upgrading`].
    pub fn begin_upgrade(self: &Arc<Self>, hub: &Hub) {
        self.sender.secure(true);
        self.new_epoch();
        self.set(hub, UPGRADING, 0);
    }

    /// The session whose handshake begins now; `received`: what was told until the task stopped.
    pub fn upgrade(self: &Arc<Self>, hub: &Hub, session: Session, received: Vec<u8>) {
        session.0.hold(received);
        self.leave_upgrade(session.0);
        self.set(hub, 0, 0);
    }

    /// Replaces both timeouts.
    pub fn change_timeouts(self: &Arc<Self>, hub: &Hub, timeouts: Timeouts) {
        self.new_epoch();
        self.set_timeouts(timeouts);
        self.set(hub, READ_AFRESH | WRITE_AFRESH, 0);
    }

    /// After each attempt to send, whoever made it: tells the pump when what waits has crossed a mark.
    pub(crate) fn tell_level(&self, hub: &Hub, crossed: bool) {
        if crossed {
            hub.inbox.push(Event::Level(self.key));
        }
    }

    /// Sends what was staged, if nobody else is at it. Wakes the task if it has to go on.
    pub fn flush(self: &Arc<Self>, hub: &Hub) -> Flush {
        self.flush_by(By::Other, hub)
    }

    /// [`Link::flush`] by `by`, who is not the task.
    pub(crate) fn flush_by(self: &Arc<Self>, by: By, hub: &Hub) -> Flush {
        let sent = self.send(by, transmit);
        self.tell_level(hub, sent.crossed);
        let failed_or_full = matches!(sent.flush, Flush::Blocked | Flush::Failed);
        if failed_or_full || self.control() & (CLOSING | UPGRADING) != 0 {
            hub.reactor.post(Command::Wake(self.clone()));
        }
        sent.flush
    }
}
