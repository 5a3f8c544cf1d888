//! Whom one trusts: authorities, whoever they have signed; any other certificate, as itself only.

use crate::io::sync::Mutex;
use crate::io::tls::certificate::Outline;
use crate::io::tls::options::{ConfigError, Source};
use crate::io::tls::pem;
use rustls::DistinguishedName;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use std::ffi::OsString;
use std::sync::Arc;

/// See the module's page.
pub(crate) struct Trust {
    /// Authorities.
    pub(crate) anchors: Vec<TrustAnchor<'static>>,
    /// From when to when each of them is valid.
    times: Vec<(UnixTime, UnixTime)>,
    /// Those and the others: each of them is good as it is.
    given: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// What the app gave.
    pub(crate) fn of(source: &Source) -> Result<Self, ConfigError> {
        let mut trust = Self::nobody();
        for certificate in pem::certificates(source)? {
            if !trust.add(certificate) {
                return Err(ConfigError::about(source, pem::UNREADABLE));
            }
        }
        Ok(trust)
    }

    fn nobody() -> Self {
        Self {
            anchors: Vec::new(),
            times: Vec::new(),
            given: Vec::new(),
        }
    }

    /// False: it cannot be read.
    fn add(&mut self, certificate: CertificateDer<'static>) -> bool {
        let Some(outline) = Outline::of(&certificate) else {
            return false;
        };
        let Ok(anchor) = webpki::anchor_from_trusted_cert(&certificate) else {
            return false;
        };
        if outline.may_issue() {
            self.anchors.push(anchor.to_owned());
            self.times.push(outline.validity);
        }
        self.given.push(certificate);
        true
    }

    /// Whether it is itself among those that were given.
    pub(crate) fn has(&self, certificate: &CertificateDer<'_>) -> bool {
        self.given.iter().any(|given| given == certificate)
    }

    /// From when to when one of the authorities is valid.
    pub(crate) fn validity(&self, anchor: &TrustAnchor<'_>) -> Option<(UnixTime, UnixTime)> {
        // By its place: one with the same name and key may have been renewed.
        let mut anchors = self.anchors.iter();
        let place = anchors.position(|one| std::ptr::eq(one, anchor))?;
        self.times.get(place).copied()
    }

    /// What a client is told of them, so that it can choose a certificate: names of issuers.
    pub(crate) fn hints(&self) -> Vec<DistinguishedName> {
        let mut hints: Vec<DistinguishedName> = Vec::new();
        for certificate in &self.given {
            let Some(outline) = Outline::of(certificate) else {
                continue;
            };
            let issues = outline.may_issue();
            let name = if issues {
                outline.subject
            } else {
                outline.issuer
            };
            let name = DistinguishedName::in_sequence(name);
            if !hints.iter().any(|hint| hint.as_ref() == name.as_ref()) {
                hints.push(name);
            }
        }
        hints
    }

    /// All of them.
    pub(crate) fn given(&self) -> &[CertificateDer<'static>] {
        &self.given
    }
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Trust")
    }
}

/// What says where the system's store is.
type StorePaths = [Option<OsString>; 2];

/// The system's store as it was read last. Leaf lock.
static SYSTEM: Mutex<Option<(StorePaths, Arc<Trust>)>> = Mutex::new(None);

/// Whom the system trusts. It is large, so it is read again only if the environment names another one.
pub(crate) fn of_system() -> Result<Arc<Trust>, ConfigError> {
    let place = ["SSL_CERT_FILE", "SSL_CERT_DIR"].map(std::env::var_os);
    if let Some((known, trust)) = &*SYSTEM.lock()
        && *known == place
    {
        return Ok(trust.clone());
    }
    let found = rustls_native_certs::load_native_certs();
    let mut trust = Trust::nobody();
    for certificate in found.certs {
        // Stores hold a few that are too odd to be read: nobody's loss.
        trust.add(certificate);
    }
    if trust.given.is_empty() {
        let why = found.errors.first().map(|error| format!(": {error}"));
        return Err(ConfigError(format!(
            "the system has no store of trusted certificates{}; install ca-certificates, or give ca_file",
            why.unwrap_or_default()
        )));
    }
    let trust = Arc::new(trust);
    let old = SYSTEM.lock().replace((place, trust.clone()));
    drop(old);
    Ok(trust)
}
