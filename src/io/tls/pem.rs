//! Certificates, keys and revocation lists out of PEM (RFC 7468).

use crate::io::tls::options::{ConfigError, Identity, Source};
use pkcs8::{EncryptedPrivateKeyInfo, SecretDocument, pkcs5};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, PrivatePkcs8KeyDer,
};
use webpki::{CertRevocationList, OwnedCertRevocationList};

const ENCRYPTED: (&str, &str) = (
    "-----BEGIN ENCRYPTED PRIVATE KEY-----",
    "-----END ENCRYPTED PRIVATE KEY-----",
);
/// OpenSSL's own encryption, with a digest that is no protection any more.
const LEGACY: &str = "Proc-Type: 4,ENCRYPTED";

/// How any of them becomes one that can be read.
const CONVERT: &str = "convert it: openssl pkcs8 -topk8 -v2 aes-256-cbc -in FILE -out NEW";

/// What is said of a certificate that cannot be parsed.
pub(crate) const UNREADABLE: &str = "it holds a certificate that cannot be read";

/// At least one certificate.
pub(crate) fn certificates(source: &Source) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&source.pem).collect();
    let found = found.map_err(|error| ConfigError::about(source, error))?;
    if found.is_empty() {
        return Err(ConfigError::about(source, "it holds no certificate in PEM"));
    }
    Ok(found)
}

/// At least one revocation list.
pub(crate) fn revocations(source: &Source) -> Result<Revocations, ConfigError> {
    let mut found = Revocations::default();
    for list in CertificateRevocationListDer::pem_slice_iter(&source.pem) {
        let list = list.map_err(|error| ConfigError::about(source, error))?;
        let parsed = OwnedCertRevocationList::from_der(&list).map_err(|_| {
            ConfigError::about(source, "it holds a revocation list that cannot be read")
        })?;
        found.parsed.push(parsed.into());
        found.der.push(list.to_vec());
    }
    if found.der.is_empty() {
        return Err(ConfigError::about(
            source,
            "it holds no revocation list in PEM",
        ));
    }
    Ok(found)
}

/// Revocation lists.
#[derive(Default)]
pub(crate) struct Revocations {
    pub(crate) parsed: Vec<CertRevocationList<'static>>,
    pub(crate) der: Vec<Vec<u8>>,
}

/// The key of an identity.
pub(crate) fn key(
    source: &Source,
    identity: &Identity,
) -> Result<PrivateKeyDer<'static>, ConfigError> {
    let text = String::from_utf8_lossy(&source.pem);
    if let Some(encrypted) = encrypted(&text) {
        return decrypted(source, encrypted, identity.password.as_deref());
    }
    if text.contains(LEGACY) {
        return Err(ConfigError::about(
            source,
            format!(
                "the key is encrypted in OpenSSL's old way (Proc-Type: 4,ENCRYPTED), which is not supported; {CONVERT}"
            ),
        ));
    }
    PrivateKeyDer::from_pem_slice(&source.pem).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => {
            ConfigError::about(source, "it holds no private key in PEM")
        }
        error => ConfigError::about(source, error),
    })
}

fn encrypted(text: &str) -> Option<&str> {
    let begin = text.find(ENCRYPTED.0)?;
    let length = text[begin..].find(ENCRYPTED.1)? + ENCRYPTED.1.len();
    Some(&text[begin..begin + length])
}

fn decrypted(
    source: &Source,
    pem: &str,
    password: Option<&[u8]>,
) -> Result<PrivateKeyDer<'static>, ConfigError> {
    let refused = |what: &str| ConfigError::about(source, what);
    let password =
        password.ok_or_else(|| refused("the key is encrypted: key_password is needed"))?;
    let (_, document) =
        SecretDocument::from_pem(pem).map_err(|_| refused("the encrypted key is not PEM"))?;
    let unsupported = || {
        refused(&format!(
            "the key is encrypted in a way that is not supported; {CONVERT}"
        ))
    };
    let info = EncryptedPrivateKeyInfo::try_from(document.as_bytes()).map_err(|_| unsupported())?;
    let key = info.decrypt(password).map_err(|error| match error {
        pkcs8::Error::EncryptedPrivateKey(
            pkcs5::Error::UnsupportedAlgorithm { .. }
            | pkcs5::Error::AlgorithmParametersInvalid { .. }
            | pkcs5::Error::NoPbes1CryptSupport,
        ) => unsupported(),
        // A wrong password makes anything of it: bad padding, or what is no key.
        _ => refused("key_password does not fit the key"),
    })?;
    Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
}
