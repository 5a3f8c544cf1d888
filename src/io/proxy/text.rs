//! Version 1: one line of ASCII, such as `PROXY TCP4 192.0.2.1 198.51.100.2 51234 443`.

use crate::io::proxy::fault::Fault;
use crate::io::proxy::header::{Header, Version};
use crate::io::proxy::parsed::{Parsed, begins};
use crate::io::sys::address::Address;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// Nothing else may begin so, once a server takes headers.
const SIGNATURE: &[u8] = b"PROXY";
/// Of the line, with its end.
const LONGEST: usize = 107;
const END: &[u8] = b"\r\n";

/// Looks at all that has come so far.
pub(crate) fn parse(bytes: &[u8]) -> Parsed {
    let sure = match begins(bytes, SIGNATURE) {
        None => return Parsed::Other,
        Some(sure) => sure,
    };
    let looked_at = &bytes[..bytes.len().min(LONGEST)];
    let Some(end) = looked_at.windows(END.len()).position(|two| two == END) else {
        return match unfinished(looked_at) {
            Ok(()) => Parsed::More { sure },
            Err(rule) => Parsed::Broken(Fault::Malformed(rule)),
        };
    };
    match line(&bytes[..end]) {
        Ok(ends) => Parsed::Whole(whole(ends), end + END.len()),
        Err(rule) => Parsed::Broken(Fault::Malformed(rule)),
    }
}

/// What of a line without its end is wrong already, so that nobody waits for it.
fn unfinished(bytes: &[u8]) -> Result<(), &'static str> {
    let spaced = bytes.get(SIGNATURE.len()).is_none_or(|next| *next == b' ');
    if !spaced {
        return Err("no space follows PROXY");
    }
    if bytes.len() == LONGEST {
        return Err("its line is longer than 107 bytes");
    }
    Ok(())
}

fn whole(ends: Option<(SocketAddr, SocketAddr)>) -> Header {
    Header {
        version: Version::One,
        local: false,
        ends: ends.map(|(source, destination)| (source.into(), destination.into())),
        tlvs: Vec::new(),
    }
}

type Ends = Option<(SocketAddr, SocketAddr)>;

fn line(bytes: &[u8]) -> Result<Ends, &'static str> {
    let mut fields = bytes.split(|byte| *byte == b' ');
    if fields.next() != Some(SIGNATURE) {
        return Err("no space follows PROXY");
    }
    match fields.next() {
        Some(b"TCP4") => addresses::<Ipv4Addr>(fields).map(Some),
        Some(b"TCP6") => addresses::<Ipv6Addr>(fields).map(Some),
        // Whatever follows is to be ignored.
        Some(b"UNKNOWN") => Ok(None),
        _ => Err("its protocol is not TCP4, TCP6 or UNKNOWN"),
    }
}

fn addresses<'a, T: FromStr + Into<IpAddr>>(
    mut fields: impl Iterator<Item = &'a [u8]>,
) -> Result<(SocketAddr, SocketAddr), &'static str> {
    let mut next = || {
        let field = fields.next().ok_or("it has too few fields")?;
        std::str::from_utf8(field).map_err(|_| "it is not ASCII")
    };
    let (source, destination) = (next()?, next()?);
    let (from, to) = (next()?, next()?);
    let ip = |text: &str| text.parse::<T>().map_err(|_| "invalid IP address");
    let source = SocketAddr::new(ip(source)?.into(), port(from)?);
    let destination = SocketAddr::new(ip(destination)?.into(), port(to)?);
    match fields.next() {
        None => Ok((source, destination)),
        Some(_) => Err("it has too many fields"),
    }
}

/// Digits, without a zero before others.
fn port(text: &str) -> Result<u16, &'static str> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let led = text.len() > 1 && text.starts_with('0');
    let number = text.parse().ok().filter(|_| plain && !led);
    number.ok_or("invalid port number")
}

/// The line; of addresses that it cannot tell `UNKNOWN`.
pub(crate) fn write(ends: Option<&(Address, Address)>) -> Vec<u8> {
    let ips = ends.and_then(|(source, destination)| source.ip().zip(destination.ip()));
    let Some((source, destination)) = ips else {
        return b"PROXY UNKNOWN\r\n".to_vec();
    };
    let protocol = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (source.ip(), destination.ip());
    let ports = (source.port(), destination.port());
    format!("PROXY {protocol} {from} {to} {} {}\r\n", ports.0, ports.1).into_bytes()
}
