//! Whether a peer's certificate is good, as rustls asks it.

use crate::io::tls::certificate::{self, Outline};
use crate::io::tls::chain::Chains;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use std::cell::Cell;

thread_local! {
    /// Of the certificate that this thread has just refused: rustls does not give it to whoever asks why.
    static SELF_SIGNED: Cell<bool> = const { Cell::new(false) };
}

/// Whether the certificate that was refused since this was last asked, by this thread, is signed by itself.
pub(crate) fn refused_self_signed() -> bool {
    SELF_SIGNED.take()
}

/// One that is trusted itself is refused for something else.
fn note(
    verified: Result<(), Error>,
    chains: &Chains,
    end_entity: &CertificateDer<'_>,
) -> Result<(), Error> {
    if verified.is_err() {
        let outline = Outline::of(end_entity).filter(|_| !chains.trust.has(end_entity));
        SELF_SIGNED.set(outline.is_some_and(|one| one.is_self_signed()));
    }
    verified
}

/// The peer's own signature in the handshake, by which it shows that it has the certificate's key.
macro_rules! signatures {
    ($self:ident => $algorithms:expr) => {
        fn verify_tls12_signature(
            &$self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls12_signature(message, cert, dss, &$algorithms)
        }

        fn verify_tls13_signature(
            &$self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls13_signature(message, cert, dss, &$algorithms)
        }

        fn supported_verify_schemes(&$self) -> Vec<SignatureScheme> {
            $algorithms.supported_schemes()
        }
    };
}

/// A server's certificate: by whom it is, and for which name.
#[derive(Debug)]
pub(crate) struct VerifyServer(pub(crate) Chains);

impl ServerCertVerifier for VerifyServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.0.verify(end_entity, intermediates, now);
        let verified = verified.and_then(|()| verify_name(end_entity, server_name));
        note(verified, &self.0, end_entity).map(|()| ServerCertVerified::assertion())
    }

    signatures!(self => self.0.algorithms);
}

fn verify_name(end_entity: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), Error> {
    let verified = verify_server_name(&ParsedCertificate::try_from(end_entity)?, name);
    verified.map_err(|error| match error {
        Error::InvalidCertificate(CertificateError::NotValidForNameContext {
            expected, ..
        }) => {
            // In plain words, which rustls has not.
            let presented = certificate::names(end_entity);
            CertificateError::NotValidForNameContext {
                expected,
                presented,
            }
            .into()
        }
        error => error,
    })
}

/// Nothing is verified but that the peer has the key of the certificate that it sent.
#[derive(Debug)]
pub(crate) struct NoVerification(pub(crate) WebPkiSupportedAlgorithms);

impl ServerCertVerifier for NoVerification {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    signatures!(self => self.0);
}

/// A client's certificate: by whom it is. Whose it is, is for the app.
#[derive(Debug)]
pub(crate) struct VerifyClient {
    pub(crate) chains: Chains,
    /// Without one they are refused.
    pub(crate) required: bool,
    pub(crate) hints: Vec<DistinguishedName>,
}

impl ClientCertVerifier for VerifyClient {
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.chains.verify(end_entity, intermediates, now);
        note(verified, &self.chains, end_entity).map(|()| ClientCertVerified::assertion())
    }

    signatures!(self => self.chains.algorithms);
}
