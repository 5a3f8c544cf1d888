//! Networks of addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// All addresses that have their first bits in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// The first address, and the bits that count.
    V4(u32, u32),
    /// The same.
    V6(u128, u128),
}

impl Network {
    /// The first `bits` of `ip` count; None: it has no so many.
    pub fn new(ip: IpAddr, bits: u32) -> Option<Self> {
        match ip {
            IpAddr::V4(ip) => Self::v4(ip, bits),
            IpAddr::V6(ip) => Self::v6(ip, bits),
        }
    }

    fn v4(ip: Ipv4Addr, bits: u32) -> Option<Self> {
        let off = u32::BITS.checked_sub(bits)?;
        let mask = u32::MAX.checked_shl(off).unwrap_or(0);
        Some(Self::V4(ip.to_bits() & mask, mask))
    }

    fn v6(ip: Ipv6Addr, bits: u32) -> Option<Self> {
        // Peers of a dual-stack socket are shown as what they are.
        const MAPPED: u32 = u128::BITS - u32::BITS;
        if let (Some(ip), Some(bits)) = (ip.to_ipv4_mapped(), bits.checked_sub(MAPPED)) {
            return Self::v4(ip, bits);
        }
        let off = u128::BITS.checked_sub(bits)?;
        let mask = u128::MAX.checked_shl(off).unwrap_or(0);
        Some(Self::V6(ip.to_bits() & mask, mask))
    }

    /// Whether it is one of them.
    pub fn has(self, ip: IpAddr) -> bool {
        match (self, ip.to_canonical()) {
            (Self::V4(first, mask), IpAddr::V4(ip)) => ip.to_bits() & mask == first,
            (Self::V6(first, mask), IpAddr::V6(ip)) => ip.to_bits() & mask == first,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Network;

    #[test]
    fn the_first_bits_say_who_is_in_it() {
        let network = |ip: &str, bits| Network::new(ip.parse().unwrap(), bits).unwrap();
        let has = |network: Network, ip: &str| network.has(ip.parse().unwrap());
        let ten = network("10.0.0.0", 8);
        assert!(has(ten, "10.255.0.1") && has(ten, "::ffff:10.1.2.3"));
        assert!(!has(ten, "11.0.0.1") && !has(ten, "::1"));
        let one = network("192.0.2.7", 32);
        assert!(has(one, "192.0.2.7") && !has(one, "192.0.2.6"));
        let v6 = network("2001:db8::", 33);
        assert!(has(v6, "2001:db8:7fff::1") && !has(v6, "2001:db8:8000::1"));
        assert!(!has(v6, "32.1.13.184"));
        let mapped = network("::ffff:10.0.0.0", 104);
        assert!(has(mapped, "10.1.1.1") && !has(mapped, "11.1.1.1"));
    }

    #[test]
    fn no_bits_are_all_addresses_of_the_family_and_too_many_none() {
        let network = |ip: &str, bits| Network::new(ip.parse().unwrap(), bits);
        let has = |network: Option<Network>, ip: &str| network.unwrap().has(ip.parse().unwrap());
        assert!(has(network("0.0.0.0", 0), "1.2.3.4") && !has(network("0.0.0.0", 0), "::1"));
        assert!(has(network("::", 0), "::1") && !has(network("::", 0), "1.2.3.4"));
        assert_eq!(network("10.0.0.0", 33), None);
        assert_eq!(network("2001::", 129), None);
    }
}
