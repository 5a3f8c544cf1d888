//! What a connection that is read, or idle, does not need: boxed in its task while it does.

use crate::io::conn::handshake::Handshake;
use crate::io::conn::linger::Linger;
use crate::io::conn::wire::Wire;
use std::pin::Pin;
use std::sync::Arc;

pub(super) type ErrorWatch = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Ready when the kernel tells of an error, or of both ends.
pub(super) fn error_watch(wire: &Arc<Wire>) -> ErrorWatch {
    let wire = wire.clone();
    Box::pin(async move { wire.failed().await })
}

/// See the module's page.
pub(super) enum Aside {
    /// Waits for a reset while nothing is read.
    Watch(ErrorWatch),
    /// A session is to come.
    Upgrade(Box<Upgrade>),
    /// Some: it is closing.
    Linger(Option<Box<Linger>>),
}

impl Aside {
    pub(super) const NONE: Self = Self::Linger(None);

    pub(super) fn is_lingering(&self) -> bool {
        match self {
            Self::Watch(_) => false,
            Self::Upgrade(upgrade) => upgrade.linger.is_some(),
            Self::Linger(linger) => linger.is_some(),
        }
    }
}

/// Until the session is there.
#[derive(Default)]
pub(super) struct Upgrade {
    /// For a reset, while what was written in the clear is still to be sent.
    pub(super) watch: Option<ErrorWatch>,
    /// None: it has not begun.
    pub(super) handshake: Option<Handshake>,
    /// Some: the connection is closing.
    pub(super) linger: Option<Linger>,
}
