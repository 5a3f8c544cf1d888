//! From bytes to a header, whatever their version.

use crate::io::proxy::binary;
use crate::io::proxy::parsed::Parsed;
use crate::io::proxy::text;

/// Looks at all that has come so far.
pub fn parse(bytes: &[u8]) -> Parsed {
    match text::parse(bytes) {
        Parsed::Other => binary::parse(bytes),
        parsed => parsed,
    }
}

#[cfg(test)]
mod tests;
