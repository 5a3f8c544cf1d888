//! Alerts by the names that IANA registers (TLS Alerts; RFC 8446, 6).

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

/// The registered name.
pub(crate) fn name(alert: AlertDescription) -> &'static str {
    match u8::from(alert) {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        21 => "decryption_failed",
        22 => "record_overflow",
        30 => "decompression_failure",
        40 => "handshake_failure",
        41 => "no_certificate",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        60 => "export_restriction",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        100 => "no_renegotiation",
        109 => "missing_extension",
        110 => "unsupported_extension",
        111 => "certificate_unobtainable",
        112 => "unrecognized_name",
        113 => "bad_certificate_status_response",
        114 => "bad_certificate_hash_value",
        115 => "unknown_psk_identity",
        116 => "certificate_required",
        120 => "no_application_protocol",
        121 => "ech_required",
        _ => "unknown",
    }
}

/// The alert that an error is told to the peer by, or that it was told by.
pub(crate) fn of(error: &Error) -> Option<AlertDescription> {
    Some(match error {
        Error::AlertReceived(alert) => *alert,
        Error::InvalidCertificate(error) => of_certificate(error),
        Error::InvalidMessage(InvalidMessage::MessageTooLarge) | Error::PeerSentOversizedRecord => {
            AlertDescription::RecordOverflow
        }
        Error::InvalidMessage(_) => AlertDescription::DecodeError,
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            AlertDescription::UnexpectedMessage
        }
        Error::DecryptError => AlertDescription::BadRecordMac,
        Error::NoCertificatesPresented => AlertDescription::CertificateRequired,
        Error::NoApplicationProtocol => AlertDescription::NoApplicationProtocol,
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled,
        ) => AlertDescription::ProtocolVersion,
        Error::PeerIncompatible(_) => AlertDescription::HandshakeFailure,
        Error::PeerMisbehaved(_) => AlertDescription::IllegalParameter,
        _ => return None,
    })
}

fn of_certificate(error: &CertificateError) -> AlertDescription {
    AlertDescription::from(error.clone())
}

/// The record of a fatal alert in the clear (RFC 8446, 6).
pub(crate) fn record(alert: AlertDescription) -> [u8; 7] {
    [21, 3, 3, 0, 2, 2, alert.into()]
}

/// The alert in the last of `records`, if that is one in the clear (RFC 8446, 5.1: type 21, two bytes).
pub(crate) fn sent(records: &[u8]) -> Option<AlertDescription> {
    let (_, last) = records.split_at_checked(records.len().checked_sub(7)?)?;
    matches!(last, [21, 3, _, 0, 2, 1 | 2, _]).then(|| AlertDescription::from(last[6]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_in_the_clear_is_found_at_the_end() {
        let records = [22, 3, 3, 0, 1, 0, 21, 3, 3, 0, 2, 2, 70];
        assert_eq!(sent(&records), Some(AlertDescription::ProtocolVersion));
        assert_eq!(sent(&records[..12]), None);
        assert_eq!(sent(&[]), None);
    }

    #[test]
    fn each_alert_has_the_registered_name() {
        assert_eq!(name(AlertDescription::UnknownCA), "unknown_ca");
        assert_eq!(
            name(AlertDescription::UnrecognisedName),
            "unrecognized_name"
        );
        assert_eq!(name(AlertDescription::from(255)), "unknown");
    }
}
