//! Bytes behind others, where there may be no memory for them.

use std::collections::TryReserveError;

/// Puts `bytes` behind `kept`. An error: there is no memory for them, and nothing has changed.
#[inline]
pub fn extend(kept: &mut Vec<u8>, bytes: &[u8]) -> Result<(), TryReserveError> {
    kept.try_reserve(bytes.len())?;
    kept.extend_from_slice(bytes);
    Ok(())
}
