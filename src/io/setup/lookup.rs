//! Lookups that the app asks for itself.

use crate::io::event::Event;
use crate::io::failure::Failure;
use crate::io::failure::LookupFailure;
use crate::io::hub::Hub;
use crate::io::keys::Key;
use crate::io::keys::LookupGuard;
use crate::io::runtime::commands::Command;
use crate::io::setup::getaddrinfo::Found;
use crate::io::setup::resolve;
use std::net::SocketAddr;
use std::sync::Arc;

/// What the app wants to know.
#[derive(Debug, Clone)]
pub enum Query {
    /// The addresses of a name, of one family or of both (None).
    Host(String, Option<i32>),
    /// Nothing: a literal is its own answer.
    Literal(SocketAddr),
    /// The name of an address and of its port's service.
    Address(SocketAddr),
}

/// Leaves the lookup to whoever drives. Its answer comes as an event of `key`, then `Gone`.
pub fn start(hub: &Arc<Hub>, key: Key, query: Query) {
    hub.keys.came();
    let lookup = Lookup {
        hub: hub.clone(),
        key,
    };
    // From the call on and not from when it is driven: so the app has asked for it.
    let counted = hub.keys.lookup_begins();
    hub.reactor
        .post(Command::Spawn(Box::pin(lookup.run(query, counted))));
}

/// Says `Gone` when the lookup ends, however it ends.
struct Lookup {
    hub: Arc<Hub>,
    key: Key,
}

impl Lookup {
    async fn run(self, query: Query, counted: LookupGuard) {
        let answer = answer(query).await;
        drop(counted); // before the app is told
        match answer {
            Ok(found) => self.hub.inbox.push(Event::Found(self.key, Box::new(found))),
            Err(failure) => self
                .hub
                .inbox
                .push(Event::failed(self.key, Failure::Lookup(failure))),
        }
    }
}

async fn answer(query: Query) -> Result<Found, LookupFailure> {
    match query {
        Query::Host(host, family) => resolve::lookup(&host, family).await.map(Found::Addresses),
        Query::Literal(address) => Ok(Found::Addresses(vec![address])),
        Query::Address(address) => resolve::lookup_name(address).await,
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        self.hub.keys.went();
        self.hub.inbox.push(Event::Gone(self.key));
    }
}
