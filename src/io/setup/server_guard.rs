//! What keeps a server known to the pump.

use crate::io::event::Event;
use crate::io::hub::Hub;
use crate::io::setup::listener::Listener;
use std::sync::Arc;

/// Held by all that may have something to tell of a server: says `Gone` when the last of them has ended, however it ends.
pub(crate) struct ServerGuard {
    pub(crate) hub: Arc<Hub>,
    pub(crate) listener: Arc<Listener>,
}

impl Drop for ServerGuard {
    fn drop(&mut self) {
        self.listener.release_sockets();
        self.hub.keys.went();
        self.hub.inbox.push(Event::Gone(self.listener.key));
    }
}
