//! From a header to its bytes.

use crate::io::proxy::header::{Header, Version};
use crate::io::proxy::{binary, text};

/// None: its TLVs are too long. Both addresses must be of one family.
pub fn write(header: &Header) -> Option<Vec<u8>> {
    match header.version {
        Version::One => Some(text::write(header.ends.as_ref())),
        Version::Two => binary::write(header),
    }
}
