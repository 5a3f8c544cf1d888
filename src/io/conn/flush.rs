//! Sends what was staged on the connections that are to be flushed.

use crate::io::conn::link::{Flush, Link};
use crate::io::event::Event;
use crate::io::hub::Hub;
use std::sync::Arc;

/// By the pump. `flushing` is the caller's to keep, for its allocation.
pub fn flush(hub: &Hub, flushing: &mut Vec<Arc<Link>>, flushed: impl FnMut(&Arc<Link>)) {
    hub.reactor
        .with_dirty(|dirty| std::mem::swap(dirty, flushing));
    flush_each(hub, flushing.drain(..), flushed);
}

/// [`flush`] on the I/O side, while Python keeps the pump.
pub(crate) fn flush_late(hub: &Hub) {
    // Not swapped: the list's next allocation would lie behind all that a callback has staged, and keep the heap below
    // from being given back.
    let mut flushing = Vec::new();
    hub.reactor.with_dirty(|dirty| flushing.append(dirty));
    flush_each(hub, flushing, |link| {
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
        link.unmark_dirty();
        if matches!(link.flush(hub), Flush::Done) && link.wants_flushed() {
            flushed(&link);
        }
    }
}

/// For a runtime with threads of its own: sends what the pump leaves staged for long. Ends with the runtime.
pub(crate) async fn keep_flushing(hub: Arc<Hub>) {
    loop {
        hub.reactor.late.called().await;
        while hub.reactor.late.is_due().await {
            flush_late(&hub);
        }
    }
}
