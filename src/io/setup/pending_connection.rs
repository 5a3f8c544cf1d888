//! A connection that was accepted, until Python is told of it.

use crate::io::conn::link::Link;
use crate::io::conn::task::ConnTask;
use crate::io::conn::wire::Wire;
use crate::io::event::{Event, Refused};
use crate::io::failure::Failure;
use crate::io::hub::Hub;
use crate::io::proxy::fault::Fault;
use crate::io::proxy::header::Header;
use crate::io::proxy::policy::Policy;
use crate::io::setup::listener::Listener;
use crate::io::sys::address::Address;
use std::io;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// One of its server's connections.
pub(crate) struct PendingConnection {
    pub(crate) hub: Arc<Hub>,
    slot: ConnectionSlot,
    /// From the accept on: who waits with its PROXY header is on its way to a handshake, too.
    handshake: Option<HandshakePlace>,
    pub(crate) wire: Wire,
    peer: Address,
    /// None: to be asked for.
    own: Option<Address>,
}

/// Counted by its server until it is dropped.
struct ConnectionSlot(Option<Arc<Listener>>);

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        if let Some(listener) = self.0.take() {
            listener.gave_up();
        }
    }
}

/// One of the handshakes that its server has under way, until it is dropped.
struct HandshakePlace(Arc<Listener>);

impl HandshakePlace {
    /// None: its connections have no handshake.
    fn take(listener: &Arc<Listener>) -> Option<Self> {
        listener.options.tls.as_ref()?;
        listener.handshake_begins();
        Some(Self(listener.clone()))
    }
}

impl Drop for HandshakePlace {
    fn drop(&mut self) {
        self.0.handshake_ended();
    }
}

/// What was learned of a connection before it is announced.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    /// Whom it serves.
    pub(crate) header: Option<Header>,
    /// Received already.
    pub(crate) bytes: Vec<u8>,
    /// What a receive has met after those.
    pub(crate) error: Option<io::Error>,
}

impl PendingConnection {
    /// Takes a place among the connections of `listener`.
    pub(crate) fn new(
        hub: &Arc<Hub>,
        listener: &Arc<Listener>,
        wire: Wire,
        peer: Address,
        own: Option<Address>,
    ) -> Self {
        listener.accepted();
        // Some are for sockets that listen only: the connection is none the worse for it.
        listener.options.socket_options.try_set(wire.socket());
        Self {
            hub: hub.clone(),
            slot: ConnectionSlot(Some(listener.clone())),
            handshake: HandshakePlace::take(listener),
            wire,
            peer,
            own,
        }
    }

    /// What its server does with PROXY headers.
    pub(crate) fn policy(&self) -> Option<&Policy> {
        self.slot.0.as_ref()?.options.proxy.as_ref()
    }

    /// Its server, which counts it.
    pub(crate) fn listener(&self) -> Option<&Arc<Listener>> {
        self.slot.0.as_ref()
    }

    /// Who has made it.
    pub(crate) fn peer(&self) -> &Address {
        &self.peer
    }

    /// Python gets to know it, and its task takes it on.
    pub(crate) fn announce(mut self, learned: Learned) {
        let Some(listener) = self.slot.0.take() else {
            return;
        };
        drop(self.handshake.take());
        let (hub, wire) = (self.hub, self.wire);
        let link = Link::connecting(hub.keys.new_key(), listener.options.timeouts);
        hub.keys.came();
        listener.announced(|| hub.reactor.time());
        let own = self.own.map_or_else(|| Address::own(wire.socket()), Ok);
        let unknown = |_| Address::Ip((Ipv6Addr::UNSPECIFIED, 0).into());
        let own = own.unwrap_or_else(unknown);
        match learned.header {
            Some(header) => link.set_proxied(self.peer, own, header),
            None => link.set_ends(self.peer, own),
        }
        let task = ConnTask::new(hub.clone(), link.clone(), wire, Some(listener.clone()));
        hub.inbox.push(Event::Accepted {
            listener,
            link: link.clone(),
        });
        let mut told = Ok(());
        if !learned.bytes.is_empty() {
            link.count_received(learned.bytes.len());
            told = hub.inbox.push_data(&link, &learned.bytes);
        }
        match told.err().or(learned.error) {
            Some(error) => {
                hub.inbox.push(Event::failed(link.key, error.into()));
                drop(task);
            }
            None => hub.reactor.spawn(task),
        }
    }

    /// Resets it. `told`: the app may be interested.
    pub(crate) fn refuse(self, fault: Fault, told: bool) {
        self.hub
            .proxy_headers_failed
            .fetch_add(1, Ordering::Relaxed);
        self.wire.reset();
        if told {
            self.tell(Failure::Proxy(fault), None);
        }
    }

    /// Tells the server's handler why the connection is refused, though not of each in a flood. It is closed. `header`: whom
    /// it was to serve.
    pub(crate) fn tell(self, failure: Failure, header: Option<Header>) {
        let Self {
            hub,
            slot,
            wire,
            peer,
            ..
        } = self;
        drop(wire);
        if let Some(listener) = &slot.0
            && listener.refusals.may_tell(hub.reactor.time())
        {
            let source = header.and_then(|header| header.ends).map(|ends| ends.0);
            let refused = Refused {
                peer: source.unwrap_or(peer).canonical(),
                failure,
            };
            hub.inbox
                .push(Event::Refused(listener.key, Box::new(refused)));
        }
    }
}
