//! The families of IP addresses by the system's numbers, which is how the app names them.

use crate::io::sys::platform::c;
use std::net::IpAddr;

/// Whether `address` is of that family (None: any).
pub fn is_of(address: IpAddr, family: Option<i32>) -> bool {
    family.is_none_or(|family| (family == c::AF_INET) == address.is_ipv4())
}
