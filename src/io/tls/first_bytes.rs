//! What a peer begins its handshake with, looked at before a session sees it.

use crate::io::tls::alert;
use crate::io::tls::failure::TlsFailure;
use rustls::AlertDescription;

/// Bytes of a client's hello up to its version, with the record's head.
const HELLO: usize = 11;

/// Whether those of one peer are good.
#[derive(Debug, Default)]
pub(crate) struct FirstBytes {
    checked: bool,
}

impl FirstBytes {
    /// All of them have come and are good.
    pub(crate) fn are_checked(&self) -> bool {
        self.checked
    }

    /// Looks at `all` that has come so far. If no session may begin with it, the peer is to be told so where it would
    /// understand: by this record, given to `tell`.
    pub(crate) fn check(&mut self, all: &[u8], tell: impl FnOnce(&[u8])) -> Result<(), TlsFailure> {
        if self.checked || all.is_empty() {
            return Ok(());
        }
        self.checked = all.len() >= HELLO;
        check(all).inspect_err(|failure| {
            if failure.alert.is_some() {
                tell(&alert::record(AlertDescription::ProtocolVersion));
            }
        })
    }
}

/// Whether a session may begin with these bytes: a record of a handshake, or of the alert of a peer that wants none
/// (RFC 8446, 5.1), of version 3.x. That of a client's hello is told apart here: those of long ago lack other things, too.
fn check(first: &[u8]) -> Result<(), TlsFailure> {
    match first {
        [22, 3, _, _, _, 1, _, _, _, 3, 0..=2, ..] => Err(TlsFailure::too_old()),
        [22 | 21] | [22 | 21, 3, ..] => Ok(()),
        // A hello as SSL 2 had it: its length, then what it is.
        [0x80..=0xff, _, 1, ..] => Err(TlsFailure::too_old()),
        _ => Err(TlsFailure::not_tls()),
    }
}
