//! Why a session failed, in one word and in many.

use crate::io::tls::{alert, words};
use rustls::{AlertDescription, CertificateError, Error, OtherError, PeerIncompatible};
use std::fmt;

/// See the module's page.
#[derive(Debug, Clone)]
pub struct TlsFailure {
    /// The peer's certificate was refused.
    pub certificate: bool,
    /// One word, as the condition's `reason`.
    pub reason: &'static str,
    /// The registered name of the alert that was sent or received.
    pub alert: Option<&'static str>,
    /// What happened, lower case.
    pub message: String,
}

impl TlsFailure {
    fn new(reason: &'static str, message: &str) -> Self {
        Self {
            certificate: false,
            reason,
            alert: None,
            message: message.to_owned(),
        }
    }

    /// The stream ended without close_notify.
    pub(crate) fn truncated() -> Self {
        Self::new(
            "truncated",
            "the connection ended without close_notify: what was received may not be all",
        )
    }

    /// Whether it is that.
    pub(crate) fn is_truncation(&self) -> bool {
        self.reason == "truncated"
    }

    /// The stream ended in the handshake.
    pub(crate) fn cut_short() -> Self {
        Self::new(
            "truncated",
            "the peer ended the connection in the handshake",
        )
    }

    /// The handshake took too long.
    pub(crate) fn late() -> Self {
        Self::new("handshake-timeout", "the handshake was not done in time")
    }

    /// What came is not TLS.
    pub(crate) fn not_tls() -> Self {
        Self::new("not-tls", "the peer does not speak TLS")
    }

    /// The peer speaks what came before TLS 1.2.
    pub(crate) fn too_old() -> Self {
        let message = "the peer speaks nothing newer than TLS 1.1";
        Self {
            alert: Some(alert::name(AlertDescription::ProtocolVersion)),
            ..Self::new("protocol-version", message)
        }
    }

    /// The system refused to go on.
    pub(crate) fn lost(why: &str) -> Self {
        let message = format!("the connection was lost in the handshake: {why}");
        Self::new("truncated", &message)
    }

    /// What rustls refused. `self_signed`: the certificate that it is about is signed by itself. `records`: what it has for
    /// the peer.
    pub(crate) fn of(error: &Error, self_signed: bool, records: &[u8]) -> Self {
        let sent = alert::sent(records).filter(|_| !matches!(error, Error::AlertReceived(_)));
        let alert = sent.or_else(|| alert::of(error)).map(alert::name);
        let (certificate, reason) = match error {
            Error::InvalidCertificate(error) => (true, certificate_reason(error, self_signed)),
            Error::InvalidCertRevocationList(_) => (true, "revoked"),
            _ => (false, reason(error)),
        };
        Self {
            certificate,
            reason,
            alert,
            message: words(error, self_signed),
        }
    }
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for TlsFailure {}

/// A certificate that is refused for what the names of its chain may be: webpki tells it as something else.
fn is_about_names(error: &OtherError) -> bool {
    error.0.downcast_ref() == Some(&webpki::Error::NameConstraintViolation)
}

fn certificate_reason(error: &CertificateError, self_signed: bool) -> &'static str {
    use CertificateError as E;
    match error {
        E::Expired | E::ExpiredContext { .. } => "expired",
        E::NotValidYet | E::NotValidYetContext { .. } => "not-yet-valid",
        E::NotValidForName | E::NotValidForNameContext { .. } => "wrong-name",
        E::Revoked
        | E::UnknownRevocationStatus
        | E::ExpiredRevocationList
        | E::ExpiredRevocationListContext { .. } => "revoked",
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => "bad-usage",
        E::Other(other) if is_about_names(other) => "wrong-name",
        E::UnknownIssuer | E::Other(_) if self_signed => "self-signed",
        E::UnknownIssuer => "unknown-issuer",
        // The rest is a chain that is no chain: a CA in the place of a server, too long a path, …
        E::Other(_) | E::UnhandledCriticalExtension | E::BadEncoding => "bad-usage",
        _ => "bad-signature",
    }
}

fn reason(error: &Error) -> &'static str {
    match error {
        Error::AlertReceived(alert) => word(*alert),
        Error::DecryptError | Error::PeerSentOversizedRecord => "bad-record",
        Error::NoApplicationProtocol => "no-application-protocol",
        Error::NoCertificatesPresented => "certificate-required",
        Error::PeerIncompatible(
            PeerIncompatible::NoCipherSuitesInCommon
            | PeerIncompatible::NoKxGroupsInCommon
            | PeerIncompatible::NoSignatureSchemesInCommon
            | PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon,
        ) => "nothing-in-common",
        Error::InvalidMessage(_) => "bad-message",
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            "unexpected-message"
        }
        _ => match alert::of(error) {
            Some(AlertDescription::ProtocolVersion) => "protocol-version",
            Some(AlertDescription::HandshakeFailure) => "handshake-failure",
            Some(AlertDescription::IllegalParameter) => "misbehaviour",
            _ => "internal-error",
        },
    }
}

/// The word for an alert of the peer's.
fn word(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::ProtocolVersion => "protocol-version",
        AlertDescription::NoApplicationProtocol => "no-application-protocol",
        AlertDescription::BadRecordMac
        | AlertDescription::RecordOverflow
        | AlertDescription::DecryptionFailed => "bad-record",
        AlertDescription::CertificateRequired => "certificate-required",
        AlertDescription::HandshakeFailure => "handshake-failure",
        AlertDescription::UnrecognisedName => "unrecognized-name",
        AlertDescription::UnexpectedMessage => "unexpected-message",
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => "certificate-refused",
        _ => "alert",
    }
}

/// The words before those about the certificate, which `TlsCertificateError.verify_message` takes off again.
const REFUSED: &str = "the peer's certificate was refused";

fn words(error: &Error, self_signed: bool) -> String {
    match error {
        Error::AlertReceived(alert) => {
            format!("the peer sent the alert {}", alert::name(*alert))
        }
        Error::InvalidCertificate(error) => {
            format!("{REFUSED}: {}", words::certificate(error, self_signed))
        }
        Error::InvalidCertRevocationList(error) => format!("{REFUSED}: {}", words::list(error)),
        Error::NoCertificatesPresented => "the peer sent no certificate".to_owned(),
        other => other.to_string(),
    }
}
