//! Options of a socket that the app names by number, for `setsockopt`.

use crate::io::sys::platform;
use socket2::Socket;
use std::io;
use std::sync::Arc;

/// One of them.
#[derive(Debug, Clone)]
pub struct SocketOption {
    /// `SOL_SOCKET`, `IPPROTO_TCP`, …
    pub level: i32,
    /// Its number in that level.
    pub name: i32,
    /// As the kernel reads it.
    pub value: Vec<u8>,
}

impl SocketOption {
    fn set(&self, socket: &Socket) -> io::Result<()> {
        platform::set_option(socket, self.level, self.name, &self.value)
    }
}

/// Several, in their order; shared by the attempts, or the connections, that they are for.
#[derive(Debug, Clone, Default)]
pub struct SocketOptions(Option<Arc<[SocketOption]>>);

impl SocketOptions {
    /// These.
    pub fn new(options: Vec<SocketOption>) -> Self {
        Self((!options.is_empty()).then(|| options.into()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Sets all, up to the first that the system refuses.
    pub fn set(&self, socket: &Socket) -> io::Result<()> {
        let mut options = self.0.iter().flat_map(|options| options.iter());
        options.try_for_each(|option| option.set(socket))
    }

    /// Sets those that the system takes.
    pub fn try_set(&self, socket: &Socket) {
        for option in self.0.iter().flat_map(|options| options.iter()) {
            let _ = option.set(socket);
        }
    }
}
