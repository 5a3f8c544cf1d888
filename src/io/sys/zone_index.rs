//! The zone of an address, which a network interface gives it.

use crate::io::sys::platform;
use std::ffi::CString;

/// The index of a network interface that is given by name.
pub fn zone_index(name: &str) -> Option<u32> {
    platform::interface_index(&CString::new(name).ok()?)
}
