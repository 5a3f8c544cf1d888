//! Whether a certificate leads to somebody who is trusted: webpki's search, and what that leaves to others.

use crate::io::tls::certificate::{Outline, Role};
use crate::io::tls::trust::Trust;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{CertRevocationListError, CertificateError, Error, ExtendedKeyPurpose, OtherError};
use std::sync::Arc;
use webpki::{
    CertRevocationList, EndEntityCert, KeyUsage, RevocationCheckDepth, RevocationOptionsBuilder,
    UnknownStatusPolicy, VerifiedPath,
};

/// See the module's page.
#[derive(Debug)]
pub(crate) struct Chains {
    pub(crate) trust: Arc<Trust>,
    /// An authority without a list here revokes nothing.
    pub(crate) revoked: Vec<CertRevocationList<'static>>,
    pub(crate) algorithms: WebPkiSupportedAlgorithms,
    /// Whose certificates they are.
    pub(crate) role: Role,
}

impl Chains {
    /// All but the names. `intermediates`: what the peer sent besides.
    pub(crate) fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let own = Outline::of(end_entity).ok_or(CertificateError::BadEncoding)?;
        if self.trust.has(end_entity) {
            self.verify_given(&own, now)?;
        } else {
            self.search(end_entity, intermediates, now)
                .map_err(|error| self.to_rustls(error, &own))?;
        }
        if !own.key_is_for(self.role) {
            return Err(CertificateError::InvalidPurpose.into());
        }
        Ok(())
    }

    /// A certificate that is trusted itself: by whom it is signed is of no concern, its time and use are.
    fn verify_given(&self, own: &Outline<'_>, now: UnixTime) -> Result<(), Error> {
        is_in_time(own.validity, now).map_err(|error| self.to_rustls(error, own))?;
        if !own.is_for(self.role) {
            return Err(self.not_for_this());
        }
        let mut lists = self.revoked.iter();
        let is_revoked = lists.any(|list| {
            list.issuer() == own.issuer && !matches!(list.find_serial(own.serial), Ok(None))
        });
        if is_revoked {
            return Err(CertificateError::Revoked.into());
        }
        Ok(())
    }

    fn search(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), webpki::Error> {
        let lists: Vec<_> = self.revoked.iter().collect();
        let revocation = RevocationOptionsBuilder::new(&lists).ok().map(|options| {
            options
                .with_depth(RevocationCheckDepth::Chain)
                .with_status_policy(UnknownStatusPolicy::Allow)
                .build()
        });
        let usage = match self.role {
            Role::Server => KeyUsage::server_auth(),
            Role::Client => KeyUsage::client_auth(),
        };
        let found = EndEntityCert::try_from(end_entity)?;
        found.verify_for_usage(
            self.algorithms.all,
            &self.trust.anchors,
            intermediates,
            now,
            usage,
            revocation,
            Some(&|path| self.check(path, now)),
        )?;
        Ok(())
    }

    /// What webpki does not look at. It tries other paths where there is an error.
    fn check(&self, path: &VerifiedPath<'_>, now: UnixTime) -> Result<(), webpki::Error> {
        let mut issuers = path.intermediate_certificates();
        let may_issue = issuers
            .all(|issuer| Outline::of(&issuer.der()).is_some_and(|issuer| issuer.may_issue()));
        if !may_issue {
            return Err(webpki::Error::EndEntityUsedAsCa);
        }
        let validity = self.trust.validity(path.anchor());
        is_in_time(validity.ok_or(webpki::Error::UnknownIssuer)?, now)
    }

    fn not_for_this(&self) -> Error {
        let required = match self.role {
            Role::Server => ExtendedKeyPurpose::ServerAuth,
            Role::Client => ExtendedKeyPurpose::ClientAuth,
        };
        let presented = Vec::new();
        CertificateError::InvalidPurposeContext {
            required,
            presented,
        }
        .into()
    }

    /// As rustls says it, which tells the peer. With a context it is about the peer's own certificate, where it is about
    /// time; without, about one above it.
    fn to_rustls(&self, error: webpki::Error, own: &Outline<'_>) -> Error {
        use webpki::Error as E;
        match error {
            E::CertExpired { time, not_after } if not_after == own.validity.1 => {
                CertificateError::ExpiredContext { time, not_after }
            }
            E::CertExpired { .. } | E::InvalidCertValidity => CertificateError::Expired,
            E::CertNotValidYet { time, not_before } if not_before == own.validity.0 => {
                CertificateError::NotValidYetContext { time, not_before }
            }
            E::CertNotValidYet { .. } => CertificateError::NotValidYet,
            E::UnknownIssuer => CertificateError::UnknownIssuer,
            E::CertRevoked => CertificateError::Revoked,
            E::UnknownRevocationStatus => CertificateError::UnknownRevocationStatus,
            E::CrlExpired { .. } => CertificateError::ExpiredRevocationList,
            E::InvalidSignatureForPublicKey | E::SignatureAlgorithmMismatch => {
                CertificateError::BadSignature
            }
            E::UnsupportedSignatureAlgorithmContext(context) => {
                CertificateError::UnsupportedSignatureAlgorithmContext {
                    signature_algorithm_id: context.signature_algorithm_id,
                    supported_algorithms: context.supported_algorithms,
                }
            }
            E::UnsupportedSignatureAlgorithmForPublicKeyContext(context) => {
                CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
                    signature_algorithm_id: context.signature_algorithm_id,
                    public_key_algorithm_id: context.public_key_algorithm_id,
                }
            }
            E::RequiredEkuNotFoundContext(_) | E::EmptyEkuExtension => return self.not_for_this(),
            E::BadDer | E::BadDerTime | E::TrailingData(_) => CertificateError::BadEncoding,
            E::UnsupportedCriticalExtension => CertificateError::UnhandledCriticalExtension,
            E::InvalidCrlSignatureForPublicKey => {
                return Error::InvalidCertRevocationList(CertRevocationListError::BadSignature);
            }
            E::IssuerNotCrlSigner => {
                let error = CertRevocationListError::IssuerInvalidForCrl;
                return Error::InvalidCertRevocationList(error);
            }
            E::UnsupportedCrlSignatureAlgorithmContext(_)
            | E::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_) => {
                let other = OtherError(Arc::new(error));
                return Error::InvalidCertRevocationList(CertRevocationListError::Other(other));
            }
            other => CertificateError::Other(OtherError(Arc::new(other))),
        }
        .into()
    }
}

fn is_in_time((from, until): (UnixTime, UnixTime), now: UnixTime) -> Result<(), webpki::Error> {
    if now < from {
        return Err(webpki::Error::CertNotValidYet {
            time: now,
            not_before: from,
        });
    }
    if now > until {
        return Err(webpki::Error::CertExpired {
            time: now,
            not_after: until,
        });
    }
    Ok(())
}
