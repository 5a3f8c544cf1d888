//! The one task of a connection: receives, sends what the pump could not, minds timeouts, ends the connection.
//!
//! It runs on whichever thread drives the runtime, owns the stream's reading half and its end, and tells everything
//! through the queue. Its state is small on purpose (an idle connection costs its size), so what is rarely needed
//! is boxed.

use crate::io::conn::aside::{Aside, error_watch};
use crate::io::conn::deadline::{Awaited, Deadlines};
use crate::io::conn::linger::Linger;
use crate::io::conn::link::{
    CLOSING, FORCE, GIVEN_AWAY, Link, NOT_READING, READ_AFRESH, TIMED, UPGRADING, WRITE_AFRESH,
};
use crate::io::conn::loan::{LARGE, Room};
use crate::io::conn::outcome::{By, Flush, Offer};
use crate::io::conn::segments::Segments;
use crate::io::conn::transmit::transmit;
use crate::io::conn::wire::Wire;
use crate::io::event::Event;
use crate::io::failure::Failure;
use crate::io::hub::Hub;
use crate::io::setup::listener::Listener;
use crate::io::tls::shared::Tls;
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// One system call receives this much at most, unless it fills a room of the pump's.
const SCRATCH: usize = 64 * 1024;
/// Full reads of one connection before others have their turn.
const READS: usize = 4;

thread_local! {
    /// Shared by all connections that a thread drives, so that an idle one has no buffer.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH]);
}

/// See the module's page.
pub(crate) struct ConnTask {
    /// None only while it is dropped.
    wire: Option<Arc<Wire>>,
    /// The listener that counts this connection.
    listener: Option<Arc<Listener>>,
    connection: Connection,
}

/// What happens to the wire, which each step borrows.
pub(super) struct Connection {
    pub(super) hub: Arc<Hub>,
    pub(super) link: Arc<Link>,
    /// The link knows the task's waker.
    registered: bool,
    pub(super) eof: bool,
    /// Just accepted: something may be there before Tokio has looked. Over TLS: the session may keep something.
    pub(super) fresh: bool,
    /// The last read was large, so the next one may be.
    pub(super) large: bool,
    /// A limit holds reading up: it is not the peer that is silent.
    pub(super) held_up: bool,
    pub(super) aside: Aside,
    deadlines: Option<Box<Deadlines>>,
}

impl ConnTask {
    /// For an established connection, which `link` learns here. The caller has counted it by `Keys::came` and told the link
    /// its addresses.
    pub(crate) fn new(
        hub: Arc<Hub>,
        link: Arc<Link>,
        wire: Wire,
        listener: Option<Arc<Listener>>,
    ) -> Self {
        if let Some(session) = wire.tls() {
            link.sender.secure(false);
            link.set_tls(session);
        }
        let wire = Arc::new(wire);
        link.sender.attach(wire.clone());
        // With a session, what came with the handshake is there.
        let fresh = listener.is_some() || wire.tls().is_some();
        Self {
            wire: Some(wire),
            listener,
            connection: Connection {
                hub,
                link,
                registered: false,
                eof: false,
                fresh,
                large: false,
                held_up: false,
                aside: Aside::NONE,
                deadlines: None,
            },
        }
    }
}

impl Connection {
    fn step(&mut self, wire: &Arc<Wire>, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let control = self.link.control();
        if control & (FORCE | GIVEN_AWAY) != 0 {
            if control & GIVEN_AWAY == 0 {
                wire.reset();
            }
            return Poll::Ready(Ok(()));
        }
        if self.link.sender.is_due() {
            self.poll_send(wire, context);
        }
        if control & UPGRADING != 0 {
            match self.poll_upgrade(wire, context) {
                Poll::Ready(Ok(())) => {}
                Poll::Pending => return self.poll_patience(wire, control, context),
                failed => return failed,
            }
        }
        if control & CLOSING != 0 {
            return self.poll_close(wire, context).map(Ok);
        }
        if let Err(failure) = self.poll_receive(wire, context, control & NOT_READING != 0) {
            return Poll::Ready(Err(failure));
        }
        self.mind_time(control, context);
        Poll::Pending
    }

    pub(super) fn mind_time(&mut self, control: u32, context: &mut Context<'_>) {
        if control & TIMED != 0 {
            self.poll_deadlines(context);
        } else {
            self.deadlines = None;
        }
    }

    /// Goes on sending what was left to this task.
    fn poll_send(&mut self, wire: &Arc<Wire>, context: &mut Context<'_>) {
        while self.link.sender.is_blocked() {
            if wire.poll_write_ready(context).is_pending() {
                return;
            }
            let sent = self.link.send(By::Task, send_when_ready);
            if sent.flush == Flush::Done {
                self.tell_flushed();
            }
            self.progressed(sent.crossed);
            if sent.flush == Flush::Blocked && sent.count > 0 {
                // Others have their turn first.
                context.waker().wake_by_ref();
                return;
            }
        }
    }

    /// Sends what has waited for the session, or what that has to say.
    pub(super) fn flush(&self) {
        if self.link.flush(&self.hub) == Flush::Done {
            self.tell_flushed();
        }
    }

    fn tell_flushed(&self) {
        if self.link.wants_flushed() {
            self.hub.inbox.push(Event::Flushed(self.link.key));
        }
    }

    fn progressed(&mut self, crossed: bool) {
        self.hub.inbox.tell_returns();
        self.link.tell_level(&self.hub, crossed);
        if let Some(deadlines) = &mut self.deadlines {
            deadlines.sent(self.hub.reactor.now());
        }
    }

    fn poll_receive(
        &mut self,
        wire: &Arc<Wire>,
        context: &mut Context<'_>,
        disabled: bool,
    ) -> Result<(), Failure> {
        if self.eof || disabled {
            return self.poll_unread(wire, context);
        }
        self.aside = Aside::NONE;
        for _ in 0..READS {
            let room = self.hub.inbox.memory.allowance(&self.link);
            self.held_up = room == 0;
            if self.held_up {
                return Ok(());
            }
            let fresh = std::mem::take(&mut self.fresh);
            if !fresh && wire.poll_read_ready(context).is_pending() {
                return self.tell_broken(wire);
            }
            let received = self.receive(wire, room, fresh);
            match received.or_else(|error| wire.end_of(error)) {
                Ok(true) => {}
                Ok(false) => {
                    if let Some(reset) = self.take_reset() {
                        return Err(reset.into());
                    }
                    self.eof = true;
                    self.hub.inbox.push(Event::Eof(self.link.key));
                    return self.poll_unread(wire, context);
                }
                Err(error) => return Err(self.why(error.into())),
            }
        }
        context.waker().wake_by_ref();
        Ok(())
    }

    /// What is told where a receive has met `met`: what a session refused says more than why a send failed, and that more
    /// than the system's error. Only an end without close_notify may be a reset.
    fn why(&self, met: Failure) -> Failure {
        let sending = match &met {
            Failure::Tls(failure) if failure.is_truncation() => self.take_reset(),
            Failure::Tls(_) => None,
            _ => self.take_broken(),
        };
        sending.map_or(met, Failure::from)
    }

    /// A send that met a reset took it out of the kernel, which then tells of an end only.
    fn take_reset(&self) -> Option<io::Error> {
        let reset = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionReset;
        self.link.sender.take_error(reset)
    }

    /// Why a send failed, once.
    pub(super) fn take_broken(&self) -> Option<io::Error> {
        self.link.sender.take_error(|_| true)
    }

    /// A failed send is told after what was received.
    fn tell_broken(&self, wire: &Wire) -> Result<(), Failure> {
        // Tokio may not have looked since the failed send: it will, and what the kernel has goes first.
        if !self.link.sender.has_error() || matches!(wire.something_waits(), Ok(true)) {
            return Ok(());
        }
        self.take_broken().map_or(Ok(()), |error| Err(error.into()))
    }

    /// One read of at most `most` bytes; false: end of stream.
    fn receive(&mut self, wire: &Wire, most: usize, fresh: bool) -> io::Result<bool> {
        if let Some(tls) = wire.tls() {
            return self.receive_records(wire, tls, most, fresh);
        }
        let room = if self.large {
            self.hub.inbox.rooms.take()
        } else {
            None
        };
        if let Some(room) = room {
            return self.receive_into_room(wire, room, most);
        }
        BUFFER.with_borrow_mut(|buffer| {
            let buffer = &mut buffer[..most.min(SCRATCH)];
            let mut result = wire.receive(buffer);
            if fresh && matches!(result, Ok(None)) {
                result = wire.receive_unasked(buffer);
            }
            if let Ok(Some(got @ 1..)) = result {
                self.tell_data(&buffer[..got])?;
            }
            result.map(|got| got != Some(0))
        })
    }

    /// [`Connection::receive`] without copying what comes, if it is large again.
    fn receive_into_room(&mut self, wire: &Wire, mut room: Room, most: usize) -> io::Result<bool> {
        let result = wire.receive_into(room.space(most));
        match result {
            Ok(Some(got)) if got >= LARGE => self.tell_filled(room, got),
            Ok(Some(got @ 1..)) => {
                // SAFETY: the system call has just written as many.
                let told = self.tell_data(unsafe { room.filled(got) });
                self.hub.inbox.rooms.put(room);
                told?;
            }
            _ => self.hub.inbox.rooms.put(room),
        }
        result.map(|got| got != Some(0))
    }

    pub(super) fn tell_data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.received(bytes.len());
        self.hub.inbox.push_data(&self.link, bytes)
    }

    pub(super) fn tell_filled(&mut self, room: Room, count: usize) {
        self.received(count);
        self.hub.inbox.push_filled(&self.link, room, count);
    }

    fn received(&mut self, count: usize) {
        self.large = count >= LARGE;
        self.link.count_received(count);
        self.restart_read_timeout();
    }

    /// The read timeout starts afresh.
    pub(super) fn restart_read_timeout(&mut self) {
        if let Some(deadlines) = &mut self.deadlines {
            deadlines.received(self.hub.reactor.now());
        }
    }

    /// While nothing is read: a failed send is told, and so is a reset.
    fn poll_unread(&mut self, wire: &Arc<Wire>, context: &mut Context<'_>) -> Result<(), Failure> {
        match self.take_broken() {
            Some(error) => Err(Failure::Sending(error)),
            None => self.poll_watch(wire, context),
        }
    }

    /// A reset is told at once if no data waits before it.
    fn poll_watch(&mut self, wire: &Arc<Wire>, context: &mut Context<'_>) -> Result<(), Failure> {
        if !matches!(self.aside, Aside::Watch(_)) {
            self.aside = Aside::Watch(error_watch(wire));
        }
        let Aside::Watch(watch) = &mut self.aside else {
            return Ok(());
        };
        if watch.as_mut().poll(context).is_pending() {
            return Ok(());
        }
        // Done watching: with data before it, the error comes when that is read, or when a write meets it.
        self.aside = Aside::Watch(Box::pin(std::future::pending()));
        self.meet_failure(wire)
    }

    /// The kernel has told of an error, or of both ends.
    pub(super) fn meet_failure(&self, wire: &Wire) -> Result<(), Failure> {
        if wire.ends_only() || wire.tls().is_some_and(Tls::keeps) {
            // Whoever reads is told of the end.
            return Ok(());
        }
        if self.eof {
            // A receive would only tell of the end again.
            let error = wire.take_error().unwrap_or_else(Some);
            return error.map_or(Ok(()), |error| Err(Failure::Sending(error)));
        }
        wire.something_waits().map(|_| ()).map_err(Failure::Os)
    }

    fn poll_deadlines(&mut self, context: &mut Context<'_>) {
        let reading = !self.eof
            && !self.held_up
            && self.link.control() & NOT_READING == 0
            && self.link.delivered_at() != 0;
        // Read before the deadlines are looked at: a change in between voids what is told.
        let epoch = self.link.epoch();
        let deadlines = self.deadlines.get_or_insert_with(|| {
            self.hub.reactor.keep_time();
            Box::new(Deadlines::new())
        });
        let afresh = self.link.take_afresh();
        if afresh != 0 {
            deadlines.start_afresh(afresh & READ_AFRESH != 0, afresh & WRITE_AFRESH != 0);
        }
        let sending = deadlines.may_mind_sending(epoch) && self.link.sender.is_held_up();
        let awaited = Awaited {
            epoch,
            reading,
            sending,
        };
        let told = deadlines.poll(context, &self.hub, &self.link, awaited);
        if let Poll::Ready(timeout) = told {
            let key = self.link.key;
            self.hub.inbox.push(Event::TimedOut {
                key,
                epoch,
                timeout,
            });
        }
    }

    /// Whether nothing more can come: after a close_notify something may, which would make a reset of the close.
    pub(super) fn has_whole_stream(&self, wire: &Wire) -> bool {
        self.eof && wire.tls().is_none()
    }

    /// Sends what waits, then a FIN, and lets go when the peer has it all.
    fn poll_close(&mut self, wire: &Arc<Wire>, context: &mut Context<'_>) -> Poll<()> {
        if self.link.send(By::Other, transmit).flush == Flush::Blocked {
            self.poll_send(wire, context);
        }
        if self.link.is_broken() {
            wire.reset();
            return Poll::Ready(());
        }
        let ended = self.has_whole_stream(wire);
        if ended && self.link.nothing_to_send() {
            // All was read, so closing resets nothing, and the kernel sends what it has.
            return Poll::Ready(());
        }
        let limit = self.link.timeouts().write;
        if !self.aside.is_lingering() {
            self.aside = Aside::Linger(Some(Box::new(Linger::new(limit))));
        }
        match &mut self.aside {
            Aside::Linger(Some(linger)) => linger.poll(
                wire,
                &self.link,
                self.link.nothing_to_send(),
                ended,
                context,
            ),
            _ => Poll::Pending,
        }
    }
}

/// [`transmit`] through Tokio's readiness, so that a full kernel buffer clears it.
fn send_when_ready(wire: &Wire, segments: &mut Segments, last: bool) -> io::Result<Offer> {
    let mut full = Offer {
        room: false,
        sealed: 0,
    };
    let sent = wire.try_write(|| match transmit(wire, segments, last) {
        Ok(offer) if !offer.room => {
            full = offer;
            Err(io::ErrorKind::WouldBlock.into())
        }
        result => result,
    });
    match sent {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(full),
        result => result,
    }
}

impl Future for ConnTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Self {
            wire, connection, ..
        } = &mut *self;
        let Some(wire) = wire else {
            return Poll::Ready(());
        };
        if !connection.registered {
            connection.registered = true;
            connection.link.register_task(context.waker());
        }
        match connection.step(wire, context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) => Poll::Ready(()),
            Poll::Ready(Err(failure)) => {
                // A FIN would make what the peer has look whole. Over TLS it does not, and a reset might take the alert away.
                if !matches!(failure, Failure::Tls(_)) {
                    wire.reset();
                }
                connection
                    .hub
                    .inbox
                    .push(Event::failed(connection.link.key, failure));
                Poll::Ready(())
            }
        }
    }
}

impl Drop for ConnTask {
    fn drop(&mut self) {
        let connection = &mut self.connection;
        connection.link.set_ended();
        if std::thread::panicking() {
            if let Some(wire) = &self.wire {
                wire.reset();
            }
            connection.hub.inbox.push(Event::failed(
                connection.link.key,
                Failure::Panic("the connection's task panicked".into()),
            ));
        }
        let given_away = connection.link.control() & GIVEN_AWAY != 0;
        let as_it_is = given_away || connection.aside.is_lingering();
        if let Some(wire) = self.wire.as_ref().filter(|_| !as_it_is) {
            wire.finish();
        }
        connection.link.sender.end();
        connection.aside = Aside::NONE;
        self.wire = None;
        connection.hub.inbox.tell_returns();
        connection.hub.inbox.memory.feed(&connection.link);
        connection.link.forget_task();
        if let Some(listener) = self.listener.take() {
            listener.released();
        }
        connection.hub.keys.went();
        connection.hub.inbox.push(Event::Gone(connection.link.key));
    }
}
