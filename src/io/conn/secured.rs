//! What a session (TLS) adds to what waits to be sent.

use crate::io::conn::segments::Segments;

/// See the module's page.
#[derive(Debug, Default)]
pub(crate) struct Secured {
    /// The handshake is under way: nothing of the app's may be sealed.
    pub(crate) handshaking: bool,
    /// What was written since it began.
    pub(crate) held: Segments,
    /// Sealed bytes that the kernel has not taken.
    pub(crate) sealed: usize,
    /// Bytes of the app's in them: never more, so a record's header and tag count as taken first.
    pub(crate) plain: usize,
    /// The session itself has something to say.
    pub(crate) wants_write: bool,
}
