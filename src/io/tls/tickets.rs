//! Resumption on the server's side: a ticket holds all of a session, so nothing is kept for it here (RFC 8446, 4.6.1;
//! RFC 5077).
//!
//! Tickets outlive a reload of the certificate. They also carry the client's certificate, which is not verified again:
//! servers take each other's only if they ask the same of clients.

use crate::io::sync::Mutex;
use rustls::Error;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::ProducesTickets;
use std::sync::Arc;

/// What a server asks of its clients' certificates: how strictly, whom it trusts, what is revoked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Demands {
    pub(crate) mode: u8,
    pub(crate) trusted: Vec<Vec<u8>>,
    pub(crate) revoked: Vec<Vec<u8>>,
}

type Ticketers = Vec<(Demands, Arc<dyn ProducesTickets>)>;

/// Of this process, as many as there are different demands. Leaf lock.
static TICKETERS: Mutex<Ticketers> = Mutex::new(Vec::new());

/// That of servers with these demands.
pub(crate) fn ticketer(demands: &Demands) -> Result<Arc<dyn ProducesTickets>, Error> {
    if let Some(known) = find(&TICKETERS.lock(), demands) {
        return Ok(known);
    }
    // Made without the lock: it asks the system for random bytes.
    let new = Ticketer::new()?;
    let mut ticketers = TICKETERS.lock();
    Ok(find(&ticketers, demands).unwrap_or_else(|| {
        ticketers.push((demands.clone(), new.clone()));
        new
    }))
}

fn find(ticketers: &Ticketers, demands: &Demands) -> Option<Arc<dyn ProducesTickets>> {
    let mut known = ticketers.iter();
    known
        .find(|known| known.0 == *demands)
        .map(|known| known.1.clone())
}
