//! Resumption on the server's side: a ticket holds all of a session, so nothing is kept for it here (RFC 8446, 4.6.1;
//! RFC 5077).
//!
//! Tickets outlive a reload of the certificate. They also carry the client's certificate, which is not verified again:
//! servers take each other's only if they ask the same of clients.

use crate::io::sync::Mutex;
use rustls::Error;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::ProducesTickets;
use std::sync::{Arc, Weak};

/// What a server asks of its clients' certificates: how strictly, whom it trusts, what is revoked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Demands {
    pub(crate) mode: u8,
    pub(crate) trusted: Vec<Vec<u8>>,
    pub(crate) revoked: Vec<Vec<u8>>,
}

/// Whoever makes and takes the tickets of servers with the same demands.
struct Known {
    demands: Demands,
    ticketer: Weak<dyn ProducesTickets>,
    /// That of servers without demands outlives them; others would pile up, as each new list of revoked certificates is
    /// a demand of its own.
    _kept: Option<Arc<dyn ProducesTickets>>,
}

/// Of this process. Leaf lock.
static KNOWN: Mutex<Vec<Known>> = Mutex::new(Vec::new());

/// That of servers with these demands, as long as there are some.
pub(crate) fn ticketer(demands: &Demands) -> Result<Arc<dyn ProducesTickets>, Error> {
    if let Some(known) = find(&KNOWN.lock(), demands) {
        return Ok(known);
    }
    // Made without the lock: it asks the system for random bytes.
    let new = Ticketer::new()?;
    let entry = Known {
        demands: demands.clone(),
        ticketer: Arc::downgrade(&new),
        _kept: (*demands == Demands::default()).then(|| new.clone()),
    };
    let mut known = KNOWN.lock();
    if let Some(other) = find(&known, demands) {
        return Ok(other);
    }
    let gone: Vec<_> = known
        .extract_if(.., |one| one.ticketer.strong_count() == 0)
        .collect();
    known.push(entry);
    drop(known);
    drop(gone);
    Ok(new)
}

fn find(known: &[Known], demands: &Demands) -> Option<Arc<dyn ProducesTickets>> {
    let mut known = known.iter();
    known
        .find(|one| one.demands == *demands)?
        .ticketer
        .upgrade()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demands(number: u8) -> Demands {
        Demands {
            mode: 99,
            revoked: vec![vec![number]],
            ..Demands::default()
        }
    }

    fn known() -> usize {
        let known = KNOWN.lock();
        known.iter().filter(|one| one.demands.mode == 99).count()
    }

    #[test]
    fn what_servers_asked_is_let_go_with_them() {
        for number in 0..10 {
            drop(ticketer(&demands(number)).unwrap());
        }
        assert_eq!(known(), 1, "the last, until another comes");
    }

    #[test]
    fn servers_that_ask_the_same_at_a_time_have_the_same() {
        let mut same = demands(0);
        same.mode = 98;
        let one = ticketer(&same).unwrap();
        assert!(Arc::ptr_eq(&one, &ticketer(&same).unwrap()));
    }

    #[test]
    fn servers_that_ask_nothing_always_have_the_same() {
        let first = Arc::downgrade(&ticketer(&Demands::default()).unwrap());
        assert!(first.upgrade().is_some());
    }
}
