//! What a certificate says of itself. Whether that is true is not decided here.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{ExtendedKeyUsage, SubjectAltName};

/// The certificate for its server, or for any use (RFC 5280, 4.2.1.12).
const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
const ANY_USE: &str = "2.5.29.37.0";

fn parsed(der: &[u8]) -> Option<Certificate> {
    Certificate::from_der(der).ok()
}

fn extension<T: AssociatedOid + for<'a> Decode<'a>>(certificate: &Certificate) -> Option<T> {
    certificate
        .tbs_certificate
        .get::<T>()
        .ok()?
        .map(|found| found.1)
}

/// From when to when it is valid.
pub(crate) fn validity(der: &[u8]) -> Option<(SystemTime, SystemTime)> {
    let validity = parsed(der)?.tbs_certificate.validity;
    let time = |since: Duration| SystemTime::UNIX_EPOCH + since;
    Some((
        time(validity.not_before.to_unix_duration()),
        time(validity.not_after.to_unix_duration()),
    ))
}

/// Whether it names itself as its issuer.
pub(crate) fn is_self_signed(der: &[u8]) -> bool {
    parsed(der).is_some_and(|certificate| {
        certificate.tbs_certificate.issuer == certificate.tbs_certificate.subject
    })
}

/// Whether a server may use it, if it restricts that.
pub(crate) fn is_for_servers(der: &[u8]) -> bool {
    let Some(certificate) = parsed(der) else {
        return false;
    };
    let Some(ExtendedKeyUsage(uses)) = extension(&certificate) else {
        return true;
    };
    uses.iter()
        .any(|one| matches!(one.to_string().as_str(), SERVER_AUTH | ANY_USE))
}

/// Its subject alternative names (RFC 5280, 4.2.1.6): host names, addresses, mail addresses, URIs.
pub fn names(der: &[u8]) -> Vec<String> {
    let names = parsed(der).and_then(|certificate| extension::<SubjectAltName>(&certificate));
    let names = names.map(|names| names.0).unwrap_or_default();
    names.iter().filter_map(text).collect()
}

fn text(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        GeneralName::Rfc822Name(name) => Some(name.to_string()),
        GeneralName::UniformResourceIdentifier(uri) => Some(uri.to_string()),
        GeneralName::IpAddress(bytes) => address(bytes.as_bytes()).map(|ip| ip.to_string()),
        _ => None,
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(v4.into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}
