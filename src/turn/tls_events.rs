//! What is told of TLS.

use crate::boundary::callback::Which;
use crate::io::keys::Key;
use crate::turn::app_error::Whose;
use crate::turn::dispatcher::Dispatcher;
use pyo3::prelude::*;

impl Dispatcher<'_> {
    /// The bytes that follow are a session's: its handshake begins.
    pub fn upgrading(&self, py: Python<'_>, key: Key) {
        let Some(socket) = self.socket(py, key) else {
            return;
        };
        socket.get().begin_handshake();
        if socket.get().was_closed() {
            // It was here for this only.
            drop(socket.get().end_upgrade());
            drop(self.event_loop.remove(key));
        }
    }

    /// The handshake is done.
    pub fn secured(&self, py: Python<'_>, key: Key) -> PyResult<()> {
        let Some(socket) = self.socket(py, key) else {
            return Ok(());
        };
        let callback = socket.get().end_upgrade();
        let called = callback.map_or(Ok(()), |callback| {
            let whose = Whose::Socket(&socket);
            self.call(callback.bind(py), (&socket,), Which::Connect, whose)
        });
        socket.get().link.restart_timeouts(&self.event_loop.hub);
        called
    }
}
