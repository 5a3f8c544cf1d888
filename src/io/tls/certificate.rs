//! What a certificate says of itself. Whether that is true is not decided here.

use rustls::pki_types::UnixTime;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};
use x509_cert::der::asn1::{AnyRef, BitStringRef};
use x509_cert::der::{Decode, Reader, SliceReader, Tag, TagNumber, Tagged};
use x509_cert::time::Validity;

/// Extensions (RFC 5280, 4.2.1) by the last part of their identifier, which is 2.5.29 before that.
const KEY_USAGE: u8 = 15;
const ALTERNATIVE_NAMES: u8 = 17;
const BASIC_CONSTRAINTS: u8 = 19;
const EXTENDED_KEY_USAGE: u8 = 37;
/// 2.5.29, as DER has it.
const ARC: [u8; 2] = [0x55, 0x1d];

/// Bits of the key usage (RFC 5280, 4.2.1.3).
const DIGITAL_SIGNATURE: u8 = 0x80;
const KEY_ENCIPHERMENT: u8 = 0x20;
const KEY_AGREEMENT: u8 = 0x08;
const KEY_CERT_SIGN: u8 = 0x04;

/// Extended key usages, as DER has them: for servers, for clients (RFC 5280, 4.2.1.12), for anything.
const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
const ANY_USE: &[u8] = &[0x55, 0x1d, EXTENDED_KEY_USAGE, 0];

/// Whose certificate it is in the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Server,
    Client,
}

/// A certificate's parts. What is not in here is not looked at, so that what is odd in it does not matter.
#[derive(Debug)]
pub(crate) struct Outline<'a> {
    /// X.509 version 3; extensions are in no other.
    is_v3: bool,
    /// Without the outer tag, as these two are.
    pub(crate) serial: &'a [u8],
    pub(crate) issuer: &'a [u8],
    pub(crate) subject: &'a [u8],
    /// From when to when it is valid.
    pub(crate) validity: (UnixTime, UnixTime),
    /// Identifiers and values.
    extensions: Vec<(&'a [u8], &'a [u8])>,
}

/// What follows each other in `content`.
fn parts(content: &[u8]) -> Option<Vec<AnyRef<'_>>> {
    let mut reader = SliceReader::new(content).ok()?;
    let mut parts = Vec::new();
    while !reader.is_finished() {
        parts.push(reader.decode::<AnyRef<'_>>().ok()?);
    }
    Some(parts)
}

/// What follows each other in the one element that `der` is.
fn elements(der: &[u8]) -> Option<Vec<AnyRef<'_>>> {
    parts(AnyRef::from_der(der).ok()?.value())
}

fn is_context(part: &AnyRef<'_>, number: TagNumber) -> bool {
    matches!(part.tag(), Tag::ContextSpecific { number: found, .. } if found == number)
}

impl<'a> Outline<'a> {
    /// None: it cannot be read.
    pub(crate) fn of(der: &'a [u8]) -> Option<Self> {
        let mut fields = parts(elements(der)?.first()?.value())?
            .into_iter()
            .peekable();
        let version = fields.next_if(|one| is_context(one, TagNumber::N0));
        let serial = fields.next()?.value();
        let _algorithm = fields.next()?;
        let issuer = fields.next()?.value();
        let validity: Validity = fields.next()?.decode_as().ok()?;
        let subject = fields.next()?.value();
        let mut extensions = Vec::new();
        if let Some(list) = fields.find(|one| is_context(one, TagNumber::N3)) {
            for extension in elements(list.value())? {
                let extension = parts(extension.value())?;
                extensions.push((extension.first()?.value(), extension.last()?.value()));
            }
        }
        Some(Self {
            is_v3: version.is_some_and(|version| version.value() == [2, 1, 2]),
            serial,
            issuer,
            subject,
            validity: (
                UnixTime::since_unix_epoch(validity.not_before.to_unix_duration()),
                UnixTime::since_unix_epoch(validity.not_after.to_unix_duration()),
            ),
            extensions,
        })
    }

    fn extension(&self, number: u8) -> Option<&'a [u8]> {
        let mut all = self.extensions.iter();
        all.find(|one| one.0.strip_prefix(&ARC) == Some(&[number]))
            .map(|one| one.1)
    }

    /// What its key is for, where it says so. What cannot be read is for nothing.
    fn key_usage(&self) -> Option<u8> {
        let bits = BitStringRef::from_der(self.extension(KEY_USAGE)?).ok();
        Some(
            bits.and_then(|bits| bits.raw_bytes().first().copied())
                .unwrap_or(0),
        )
    }

    /// Whether it names itself as its issuer.
    pub(crate) fn is_self_signed(&self) -> bool {
        self.issuer == self.subject
    }

    /// Whether it may sign others, as OpenSSL sees it: it says that it is an authority's, and its key is for that.
    pub(crate) fn may_issue(&self) -> bool {
        let key_usage = self.key_usage();
        let is_authority = match self.extension(BASIC_CONSTRAINTS) {
            Some(value) => elements(value)
                .and_then(|found| found.first().copied())
                .is_some_and(|first| first.tag() == Tag::Boolean && first.value() == [0xff]),
            // Of an authority from before there were extensions; some say it by the key usage only.
            None if !self.is_v3 => self.is_self_signed(),
            None => key_usage.is_some(),
        };
        is_authority && key_usage.is_none_or(|uses| uses & KEY_CERT_SIGN != 0)
    }

    /// Whether its key usage, if it has one, allows what TLS does with the key.
    pub(crate) fn key_is_for(&self, role: Role) -> bool {
        let needed = match role {
            Role::Server => DIGITAL_SIGNATURE | KEY_ENCIPHERMENT | KEY_AGREEMENT,
            Role::Client => DIGITAL_SIGNATURE | KEY_AGREEMENT,
        };
        self.key_usage().is_none_or(|uses| uses & needed != 0)
    }

    /// Whether its extended key usage, if it has one, does.
    pub(crate) fn is_for(&self, role: Role) -> bool {
        let needed = match role {
            Role::Server => SERVER_AUTH,
            Role::Client => CLIENT_AUTH,
        };
        let Some(uses) = self.extension(EXTENDED_KEY_USAGE) else {
            return true;
        };
        let uses = elements(uses).unwrap_or_default();
        uses.iter()
            .any(|one| one.value() == needed || one.value() == ANY_USE)
    }

    fn names(&self) -> Vec<String> {
        let names = self.extension(ALTERNATIVE_NAMES).and_then(elements);
        let names = names.unwrap_or_default();
        names.iter().filter_map(text).collect()
    }
}

/// Until when it is valid.
pub(crate) fn expiry(der: &[u8]) -> Option<SystemTime> {
    let until = Outline::of(der)?.validity.1;
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(until.as_secs()))
}

/// Its subject alternative names (RFC 5280, 4.2.1.6): host names, addresses, mail addresses, URIs.
pub fn names(der: &[u8]) -> Vec<String> {
    Outline::of(der).map(|one| one.names()).unwrap_or_default()
}

/// None: of a kind that is no text, or not what that kind is.
fn text(name: &AnyRef<'_>) -> Option<String> {
    let Tag::ContextSpecific { number, .. } = name.tag() else {
        return None;
    };
    match number {
        // Mail address, host, URI.
        TagNumber::N1 | TagNumber::N2 | TagNumber::N6 => std::str::from_utf8(name.value())
            .ok()
            .filter(|text| text.is_ascii())
            .map(str::to_owned),
        TagNumber::N7 => address(name.value()).map(|ip| ip.to_string()),
        _ => None,
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(v4.into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}
