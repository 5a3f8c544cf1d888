//! Why a certificate was refused, in words.

use rustls::pki_types::ServerName;
use rustls::{CertRevocationListError, CertificateError, Error, ExtendedKeyPurpose};

/// Names of a certificate that a message shows.
const SHOWN: usize = 4;
const UNKNOWN_EXTENSION: &str = "the certificate has a critical extension that is not known";

/// A sentence without its end. `self_signed`: it is signed by itself.
pub(crate) fn certificate(error: &CertificateError, self_signed: bool) -> String {
    use CertificateError as E;
    let words = match error {
        E::ExpiredContext { .. } => "the certificate has expired",
        E::Expired => "the certificate of an issuer has expired",
        E::NotValidYetContext { .. } => "the certificate is not valid yet",
        E::NotValidYet => "the certificate of an issuer is not valid yet",
        E::NotValidForNameContext {
            expected,
            presented,
        } => return wrong_name(expected, presented),
        E::NotValidForName => "the certificate is for other names",
        E::Revoked => "the certificate, or that of an issuer, has been revoked",
        E::UnknownRevocationStatus => "no revocation list is about the certificate",
        E::ExpiredRevocationList | E::ExpiredRevocationListContext { .. } => {
            "the revocation list has expired"
        }
        E::InvalidPurposeContext {
            required: ExtendedKeyPurpose::ClientAuth,
            ..
        } => "the extended key usage of the certificate, or of an issuer, is not for clients",
        E::InvalidPurposeContext { .. } => {
            "the extended key usage of the certificate, or of an issuer, is not for servers"
        }
        E::InvalidPurpose => "the key usage of the certificate is not for TLS",
        E::UnknownIssuer | E::Other(_) if self_signed => {
            "the certificate is self-signed and not among the trusted ones"
        }
        E::UnknownIssuer => "unable to find an issuer of the certificate that is trusted",
        E::BadSignature => "a signature is wrong: of the certificate, of an issuer or of the peer",
        E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "the certificate, or that of an issuer, is signed by another kind of key than its issuer has"
        }
        E::BadEncoding => "the certificate, or that of an issuer, cannot be read",
        E::UnhandledCriticalExtension => UNKNOWN_EXTENSION,
        E::Other(other) => match other.0.downcast_ref() {
            Some(error) => of_chain(error),
            None => "the certificate is not as it has to be",
        },
        // The rest is about algorithms.
        _ => "the certificate, or that of an issuer, is signed in a way that is not supported",
    };
    words.to_owned()
}

fn of_chain(error: &webpki::Error) -> &'static str {
    use webpki::Error as E;
    match error {
        E::CaUsedAsEndEntity => {
            "the certificate is a CA certificate, which a peer must not present"
        }
        E::EndEntityUsedAsCa => "the certificate of an issuer does not allow it to sign others",
        E::NameConstraintViolation => "an issuer of the certificate may not issue for its names",
        E::PathLenConstraintViolated => "the chain is longer than an issuer in it allows",
        E::UnsupportedCriticalExtension => UNKNOWN_EXTENSION,
        E::UnsupportedCertVersion => {
            "the certificate, or that of an issuer, is not of X.509 version 3"
        }
        E::MaximumNameConstraintComparisonsExceeded
        | E::MaximumPathBuildCallsExceeded
        | E::MaximumPathDepthExceeded
        | E::MaximumSignatureChecksExceeded => "the chain is too long, or too intricate",
        _ => "an extension of the certificate, or of an issuer's, is not as it has to be",
    }
}

fn wrong_name(expected: &ServerName<'_>, presented: &[String]) -> String {
    let expected = expected.to_str();
    if presented.is_empty() {
        return format!("the certificate has no names, so it is not for \"{expected}\"");
    }
    // Quoted and escaped: a stranger chose them.
    let shown = presented.iter().take(SHOWN);
    let shown: Vec<_> = shown.map(|name| format!("{name:?}")).collect();
    let more = match presented.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "the certificate is for {}{more}, not for \"{expected}\"",
        shown.join(", ")
    )
}

/// About a revocation list.
pub(crate) fn list(error: &CertRevocationListError) -> &'static str {
    match error {
        CertRevocationListError::BadSignature => {
            "the revocation list of an issuer is not signed by its key"
        }
        CertRevocationListError::IssuerInvalidForCrl => {
            "the certificate of an issuer does not allow it to sign revocation lists"
        }
        _ => "the revocation list of an issuer cannot be used",
    }
}

/// About a certificate of one's own.
pub(crate) fn own(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(CertificateError::BadEncoding) => {
            crate::io::tls::pem::UNREADABLE.to_owned()
        }
        Error::InvalidCertificate(error) => certificate(error, false),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_with_many_names_is_told_by_some_of_them() {
        let name = ServerName::try_from("a.example").unwrap();
        let names: Vec<_> = (0..6).map(|number| format!("{number}.example")).collect();
        let words = wrong_name(&name, &names);
        assert!(
            words.contains("\"3.example\" and 2 more, not for \"a.example\""),
            "{words}"
        );
        assert!(!words.contains("4.example"));
        assert!(wrong_name(&name, &[]).contains("no names"));
    }
}
