//! What the first bytes of a connection are.

use crate::io::proxy::fault::Fault;
use crate::io::proxy::header::Header;

/// See the module's page.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The beginning of a header, maybe.
    More {
        /// Enough that it can be nothing else.
        sure: bool,
    },
    /// No header.
    Other,
    /// A header, and how many bytes it has.
    Whole(Header, usize),
    /// It begins as a header, but none can come of it.
    Broken(Fault),
}

/// Whether `bytes` begin with all of `signature`; None: otherwise, as far as they go.
pub(crate) fn begins(bytes: &[u8], signature: &[u8]) -> Option<bool> {
    let common = bytes.len().min(signature.len());
    (bytes[..common] == signature[..common]).then_some(common == signature.len())
}
