//! Sends what was staged on the connections that are to be flushed.

use crate::io::conn::link::Link;
use crate::io::conn::outcome::{By, Flush};
use crate::io::event::Event;
use crate::io::hub::Hub;
use crate::io::runtime::late_flush::PATIENCE;
use std::sync::Arc;
use tokio::time::sleep;

/// By the pump. `flushing` is the caller's to keep, for its allocation.
pub fn flush(hub: &Hub, flushing: &mut Vec<Arc<Link>>, flushed: impl FnMut(&Arc<Link>)) {
    hub.reactor.dirty.swap(flushing);
    flush_each(hub, flushing.drain(..), flushed);
}

/// [`flush`] on the I/O side, while Python keeps the pump.
pub(crate) fn flush_late(hub: &Hub) {
    // Not swapped: the list's next allocation would lie behind all that a callback has staged, and keep the heap below
    // from being given back.
    flush_each(hub, hub.reactor.dirty.take(), |link| {
        hub.inbox.push(Event::Flushed(link.key))
    });
    hub.inbox.tell_returns();
}

fn flush_each(
    hub: &Hub,
    flushing: impl IntoIterator<Item = Arc<Link>>,
    mut flushed: impl FnMut(&Arc<Link>),
) {
    for link in flushing {
        if link.flush_by(By::List, hub) == Flush::Done && link.wants_flushed() {
            flushed(&link);
        }
    }
}

/// For a runtime with threads of its own: sends what the pump leaves staged for long. Ends with the runtime.
pub(crate) async fn keep_flushing(hub: Arc<Hub>) {
    loop {
        hub.reactor.late.called().await;
        while hub.reactor.late.is_due() {
            sleep(PATIENCE).await;
            flush_late(&hub);
        }
    }
}
