//! Version 2: a signature, a length, addresses, TLVs.

use crate::io::proxy::checksum::crc32c;
use crate::io::proxy::fault::Fault;
use crate::io::proxy::header::{Header, Version};
use crate::io::proxy::parsed::{Parsed, begins};
use crate::io::proxy::tlv::{self, CRC32C};
use crate::io::sys::address::Address;
use crate::io::sys::platform;
use std::net::{IpAddr, SocketAddr};

/// Made to be taken for nothing else.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and protocol, length.
const FIXED: usize = 16;
const VERSION: usize = 12;
/// Version 2 and either command.
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
/// Families, in the upper half of a byte.
const UNSPEC: u8 = 0;
const INET: u8 = 1;
const INET6: u8 = 2;
const UNIX: u8 = 3;
/// In the lower half: a stream, as opposed to datagrams.
const STREAM: u8 = 1;
const HIGHEST_PROTOCOL: u8 = 2;
/// The space for a Unix socket's name.
const NAME: usize = 108;
const CHECKSUM: usize = 4;

type Ends = Option<(Address, Address)>;
type Tlvs = Vec<(u8, Box<[u8]>)>;

/// Looks at all that has come so far.
pub(crate) fn parse(bytes: &[u8]) -> Parsed {
    let sure = match begins(bytes, SIGNATURE) {
        None => return Parsed::Other,
        Some(sure) => sure,
    };
    let command = bytes.get(VERSION);
    if command.is_some_and(|command| !matches!(*command, LOCAL | PROXY)) {
        return Parsed::Broken(Fault::Malformed(
            "its version is not 2, or its command unknown",
        ));
    }
    let Some(length) = bytes.get(FIXED - 2..FIXED) else {
        return Parsed::More { sure };
    };
    let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
    let Some(header) = bytes.get(..FIXED + length) else {
        return Parsed::More { sure };
    };
    match whole(header) {
        Ok(whole) => Parsed::Whole(whole, header.len()),
        Err(fault) => Parsed::Broken(fault),
    }
}

/// It has [`FIXED`] bytes at least.
fn whole(header: &[u8]) -> Result<Header, Fault> {
    let local = header[VERSION] == LOCAL;
    let (family, protocol) = (header[VERSION + 1] >> 4, header[VERSION + 1] & 0xf);
    let (ends, tlvs) = if local || family == UNSPEC {
        (None, unaddressed(header, family)?)
    } else {
        addressed(header, family, protocol)?
    };
    Ok(Header {
        version: Version::Two,
        local,
        ends,
        tlvs,
    })
}

/// Addresses do not count here, and what stands in their place may be anything.
fn unaddressed(header: &[u8], family: u8) -> Result<Tlvs, Fault> {
    let after = size_of(family).and_then(|size| header.get(FIXED + size..));
    match tlvs(header, after.unwrap_or_default()) {
        Err(Fault::Checksum) => Err(Fault::Checksum),
        tlvs => Ok(tlvs.unwrap_or_default()),
    }
}

fn addressed(header: &[u8], family: u8, protocol: u8) -> Result<(Ends, Tlvs), Fault> {
    let size = size_of(family).ok_or(Fault::Malformed("its family is unknown"))?;
    if protocol > HIGHEST_PROTOCOL {
        return Err(Fault::Malformed("its protocol is unknown"));
    }
    let split = header[FIXED..].split_at_checked(size);
    let (addresses, after) = split.ok_or(Fault::Malformed("too short for its addresses"))?;
    let tlvs = tlvs(header, after)?;
    // Of datagrams it can tell nothing that is true of this connection.
    let ends = (protocol == STREAM).then(|| addresses_of(family, addresses));
    Ok((ends.flatten(), tlvs))
}

fn size_of(family: u8) -> Option<usize> {
    match family {
        UNSPEC => Some(0),
        INET => Some(12),
        INET6 => Some(36),
        UNIX => Some(2 * NAME),
        _ => None,
    }
}

/// They are as many bytes as [`size_of`] the family says.
fn addresses_of(family: u8, bytes: &[u8]) -> Ends {
    if family == UNIX {
        let (source, destination) = bytes.split_at_checked(NAME)?;
        return Some((name_of(source), name_of(destination)));
    }
    let (from, to) = match family {
        INET => (ip::<4>(bytes)?, ip::<4>(&bytes[4..])?),
        _ => (ip::<16>(bytes)?, ip::<16>(&bytes[16..])?),
    };
    let [.., s0, s1, d0, d1] = bytes else {
        return None;
    };
    let source = SocketAddr::new(from, u16::from_be_bytes([*s0, *s1]));
    let destination = SocketAddr::new(to, u16::from_be_bytes([*d0, *d1]));
    Some((source.into(), destination.into()))
}

fn ip<const N: usize>(bytes: &[u8]) -> Option<IpAddr>
where
    [u8; N]: Into<IpAddr>,
{
    bytes.first_chunk::<N>().map(|octets| (*octets).into())
}

/// A path ends at the first NUL; an abstract name, which begins with one, where only NULs follow.
fn name_of(bytes: &[u8]) -> Address {
    let is_nul = |byte: &u8| *byte == 0;
    let end = match bytes {
        [0, ..] => bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1),
        _ => bytes.iter().position(is_nul).unwrap_or(bytes.len()),
    };
    match &bytes[..end] {
        [] => Address::Unnamed,
        [0, name @ ..] => Address::Abstract(name.into()),
        path => Address::Path(platform::path(path).into()),
    }
}

/// What stands in `after`, the end of `header`.
fn tlvs(header: &[u8], after: &[u8]) -> Result<Tlvs, Fault> {
    let begin = header.len() - after.len();
    let mut all = Tlvs::new();
    for one in tlv::each(after) {
        let (kind, at, value) = one?;
        match kind {
            CRC32C => check(header, begin + at, value)?,
            tlv::SSL => drop(tlv::tls(value)?),
            _ => {}
        }
        all.push((kind, value.into()));
    }
    Ok(all)
}

/// The sum is that of the header with zeros in the sum's own place, `at`.
fn check(header: &[u8], at: usize, value: &[u8]) -> Result<(), Fault> {
    let told = value.first_chunk().map(|sum| u32::from_be_bytes(*sum));
    if value.len() != CHECKSUM {
        return Err(Fault::Malformed("its CRC32C is not 4 bytes long"));
    }
    if told == Some(sum_of(header, at)) {
        Ok(())
    } else {
        Err(Fault::Checksum)
    }
}

/// As many bytes as the sum has are at `at`.
fn sum_of(header: &[u8], at: usize) -> u32 {
    crc32c(&[&header[..at], &[0; CHECKSUM], &header[at + CHECKSUM..]])
}

/// None: the TLVs are too long. A CRC32C among them is computed, whatever it says.
pub(crate) fn write(header: &Header) -> Option<Vec<u8>> {
    let mut bytes = SIGNATURE.to_vec();
    bytes.push(if header.local { LOCAL } else { PROXY });
    let (family, addresses) = block_of(header.ends.as_ref());
    bytes.push(family);
    bytes.extend([0, 0]);
    bytes.extend(addresses);
    let mut sum = None;
    for (kind, value) in &header.tlvs {
        let value: &[u8] = if *kind == CRC32C {
            &[0; CHECKSUM]
        } else {
            value
        };
        bytes.push(*kind);
        bytes.extend(u16::try_from(value.len()).ok()?.to_be_bytes());
        if *kind == CRC32C {
            sum = Some(bytes.len());
        }
        bytes.extend(value);
    }
    let length = u16::try_from(bytes.len() - FIXED).ok()?;
    bytes[FIXED - 2..FIXED].copy_from_slice(&length.to_be_bytes());
    if let Some(at) = sum {
        let sum = sum_of(&bytes, at);
        bytes[at..at + CHECKSUM].copy_from_slice(&sum.to_be_bytes());
    }
    Some(bytes)
}

/// Family and protocol, and the addresses.
fn block_of(ends: Option<&(Address, Address)>) -> (u8, Vec<u8>) {
    let kind = |family: u8| family << 4 | STREAM;
    match ends {
        None => (UNSPEC, Vec::new()),
        Some((Address::Ip(source), Address::Ip(destination))) => {
            let octets = |address: &SocketAddr| match address.ip() {
                IpAddr::V4(ip) => ip.octets().to_vec(),
                IpAddr::V6(ip) => ip.octets().to_vec(),
            };
            let family = if source.is_ipv4() { INET } else { INET6 };
            let mut block = [octets(source), octets(destination)].concat();
            block.extend(source.port().to_be_bytes());
            block.extend(destination.port().to_be_bytes());
            (kind(family), block)
        }
        Some((source, destination)) => {
            let block = [padded(source), padded(destination)].concat();
            (kind(UNIX), block)
        }
    }
}

fn padded(address: &Address) -> [u8; NAME] {
    let mut name = [0; NAME];
    let (at, bytes) = match address {
        Address::Path(path) => (0, path.as_os_str().as_encoded_bytes()),
        Address::Abstract(abstracted) => (1, &**abstracted),
        Address::Ip(_) | Address::Unnamed => (0, &[][..]),
    };
    for (space, byte) in name[at..].iter_mut().zip(bytes) {
        *space = *byte;
    }
    name
}
