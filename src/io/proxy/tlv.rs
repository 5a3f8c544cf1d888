//! Types, lengths and values behind the addresses of a header of version 2.

use crate::io::proxy::fault::Fault;

/// Which protocol is spoken over the connection, as ALPN names it.
pub const ALPN: u8 = 0x01;
/// The host name that the client asked for.
pub const AUTHORITY: u8 = 0x02;
/// Of the whole header.
pub const CRC32C: u8 = 0x03;
/// Padding.
pub const NOOP: u8 = 0x04;
/// What names the connection in logs.
pub const UNIQUE_ID: u8 = 0x05;
/// About the client's TLS, with types of its own.
pub const SSL: u8 = 0x20;

const SSL_VERSION: u8 = 0x21;
const SSL_CN: u8 = 0x22;
const SSL_CIPHER: u8 = 0x23;
/// The client speaks TLS.
const CLIENT_SSL: u8 = 1;
/// It has shown a certificate, over this connection or in this session.
const CLIENT_CERT: u8 = 2 | 4;
/// Type and length.
const HEAD: usize = 3;

/// The TLS between client and balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tls<'a> {
    /// Such as "TLSv1.3".
    pub version: Option<&'a [u8]>,
    /// The common name of the client's certificate.
    pub cn: Option<&'a [u8]>,
    /// The cipher suite.
    pub cipher: Option<&'a [u8]>,
    /// The client has shown a certificate that the balancer took for good.
    pub verified: bool,
}

/// Each type with its value and where that begins in `bytes`.
pub(crate) fn each(bytes: &[u8]) -> impl Iterator<Item = Result<(u8, usize, &[u8]), Fault>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at >= bytes.len() {
            return None;
        }
        let one = one(bytes, at);
        at = one.map_or(bytes.len(), |(_, from, value)| from + value.len());
        Some(one)
    })
}

fn one(bytes: &[u8], at: usize) -> Result<(u8, usize, &[u8]), Fault> {
    let broken = Fault::Malformed("a TLV goes beyond its end");
    let rest = bytes.get(at..).ok_or(broken)?;
    let [kind, high, low, after @ ..] = rest else {
        return Err(broken);
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let value = after.get(..length).ok_or(broken)?;
    Ok((*kind, at + HEAD, value))
}

/// What the value of [`SSL`] says; None: the client speaks no TLS.
pub(crate) fn tls(value: &[u8]) -> Result<Option<Tls<'_>>, Fault> {
    let [client, v0, v1, v2, v3, rest @ ..] = value else {
        return Err(Fault::Malformed("its TLS part is too short"));
    };
    let verify = u32::from_be_bytes([*v0, *v1, *v2, *v3]);
    let mut tls = Tls {
        version: None,
        cn: None,
        cipher: None,
        // HAProxy says 0, as for a good one, where there was no certificate at all.
        verified: verify == 0 && client & CLIENT_CERT != 0,
    };
    for one in each(rest) {
        match one? {
            (SSL_VERSION, _, value) => tls.version = Some(value),
            (SSL_CN, _, value) => tls.cn = Some(value),
            (SSL_CIPHER, _, value) => tls.cipher = Some(value),
            _ => {}
        }
    }
    Ok((client & CLIENT_SSL != 0).then_some(tls))
}
