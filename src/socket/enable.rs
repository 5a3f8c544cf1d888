//! `disable` and `enable`: the app stops reading and writing, each by itself, and goes on.

use crate::socket::object::Socket;
use pyo3::prelude::*;

/// Stops those that are given.
pub(crate) fn disable(socket: &Socket, read: bool, write: bool) {
    let hub = &socket.event_loop.hub;
    if read {
        socket.state.lock().reading = false;
        socket.link.set_reading(hub, false);
    }
    if write {
        socket.link.set_writing(hub, false);
    }
    socket.event_loop.nudge();
}

/// Goes on with those that are given: what was held back is delivered, and what was written sent.
pub(crate) fn enable(slf: &Bound<'_, Socket>, read: bool, write: bool) {
    let socket = slf.get();
    if read {
        let resume = {
            let mut state = socket.state.lock();
            !std::mem::replace(&mut state.reading, true) && !state.undelivered.is_empty()
        };
        socket.link.set_reading(&socket.event_loop.hub, true);
        if resume {
            let resumed = slf.clone().into_any().unbind();
            socket
                .event_loop
                .post(|posts| posts.resumed.push_back(resumed));
        }
    }
    if write {
        socket.link.set_writing(&socket.event_loop.hub, true);
        socket.event_loop.mark_dirty(&socket.link);
    }
    socket.event_loop.nudge();
}
