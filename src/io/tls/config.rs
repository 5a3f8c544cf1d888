//! What a client or a server was set to: made once, with all that is parsed and checked, and used for many connections.

use crate::io::tls::certificate;
use crate::io::tls::names::{self, Only};
use crate::io::tls::options::{ClientCerts, Common, ConfigError, Identity, Source};
use crate::io::tls::pem;
use crate::io::tls::tickets::{self, Demands};
use crate::io::tls::verify::{Anybody, Clients, Servers};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ConfigBuilder, ConfigSide, KeyLogFile, RootCertStore, ServerConfig,
    SupportedProtocolVersion, WantsVerifier, WantsVersions,
};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

/// Sessions that a client keeps to resume.
const SESSIONS: usize = 256;
/// Tickets that a server gives a connection: a second one would cost 3 % of a handshake.
const TICKETS: usize = 1;

/// Of a client.
pub struct Client {
    pub(crate) rustls: Arc<ClientConfig>,
    /// In place of the host that is connected to.
    pub server_name: Option<ServerName<'static>>,
    /// Whose certificate it is matters.
    pub verifies: bool,
    pub(crate) limit: Option<Duration>,
    pub(crate) truncation: bool,
}

/// Of a server.
pub struct Server {
    pub(crate) rustls: Arc<ServerConfig>,
    /// Others by the name that the client asks for, ASCII and lower case.
    pub(crate) names: Vec<(String, Arc<Server>)>,
    pub(crate) limit: Option<Duration>,
    pub(crate) truncation: bool,
    /// When its certificate expires.
    pub expires: Option<SystemTime>,
}

/// What a [`Client`] may say beyond what both may.
pub struct ClientOptions {
    /// What both may say.
    pub common: Common,
    /// False: anybody is whom one wants to talk to.
    pub verify: bool,
    /// In place of the host that is connected to.
    pub server_name: Option<ServerName<'static>>,
}

/// What a [`Server`] may say beyond what both may.
pub struct ServerOptions {
    /// What both may say.
    pub common: Common,
    /// Whether clients are asked for a certificate.
    pub clients: ClientCerts,
    /// Others by the name that the client asks for.
    pub names: Vec<(String, Arc<Server>)>,
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Client")
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Server")
    }
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    let made = || Arc::new(aws_lc_rs::default_provider());
    PROVIDER.get_or_init(made).clone()
}

fn versions<S: ConfigSide>(
    builder: ConfigBuilder<S, WantsVersions>,
    (old, new): (bool, bool),
) -> Result<ConfigBuilder<S, WantsVerifier>, ConfigError> {
    let both: [(bool, &'static SupportedProtocolVersion); 2] = [(new, &TLS13), (old, &TLS12)];
    let allowed: Vec<_> = both.iter().filter(|one| one.0).map(|one| one.1).collect();
    builder.with_protocol_versions(&allowed).map_err(refused)
}

fn refused(error: rustls::Error) -> ConfigError {
    ConfigError(error.to_string())
}

/// The certificates of `sources` as whom one trusts.
fn roots(certificates: &[CertificateDer<'static>], of: &str) -> Result<RootCertStore, ConfigError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates {
        store
            .add(certificate.clone())
            .map_err(|error| ConfigError(format!("{of}: {error}")))?;
    }
    Ok(store)
}

/// Whom the system trusts. Read once: it is large.
fn system_roots() -> Result<Arc<RootCertStore>, ConfigError> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    if let Some(roots) = ROOTS.get() {
        return Ok(roots.clone());
    }
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(found.certs);
    if store.is_empty() {
        let why = found.errors.first().map(|error| format!(": {error}"));
        return Err(ConfigError(format!(
            "the system has no store of trusted certificates{}; install ca-certificates, or give ca_file",
            why.unwrap_or_default()
        )));
    }
    Ok(ROOTS.get_or_init(|| Arc::new(store)).clone())
}

/// The identity's chain and key, which fit each other.
fn certified(identity: &Identity) -> Result<Option<Arc<CertifiedKey>>, ConfigError> {
    let Some(source) = &identity.chain else {
        return Ok(None);
    };
    let chain = pem::certificates(source)?;
    let key_source = identity.key.as_ref().unwrap_or(source);
    let key = pem::key(key_source, identity)?;
    let certified = CertifiedKey::from_der(chain, key, &provider());
    let certified = certified.map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => ConfigError(format!(
            "{}: the key is not that of the certificate in {}",
            key_source.name, source.name
        )),
        error => ConfigError::about(key_source, error),
    })?;
    Ok(Some(Arc::new(certified)))
}

fn expiry(certified: &CertifiedKey) -> Option<SystemTime> {
    let own = certified.cert.first()?;
    certificate::validity(own).map(|(_, until)| until)
}

impl Client {
    /// Checks what the app said. Also: when its own certificate expires.
    pub fn new(options: ClientOptions) -> Result<(Self, Option<SystemTime>), ConfigError> {
        let common = options.common;
        let builder = ClientConfig::builder_with_provider(provider());
        let builder = versions(builder, common.versions)?;
        let builder = builder.dangerous();
        let builder = if options.verify {
            let servers = servers(common.trusted.as_ref(), common.revoked.as_ref())?;
            builder.with_custom_certificate_verifier(Arc::new(servers))
        } else {
            builder.with_custom_certificate_verifier(Arc::new(Anybody(provider())))
        };
        let identity = certified(&common.identity)?;
        let expires = identity.as_deref().and_then(expiry);
        let mut rustls = match identity {
            Some(own) => builder.with_client_cert_resolver(Arc::new(
                rustls::sign::SingleCertAndKey::from(Arc::unwrap_or_clone(own)),
            )),
            None => builder.with_no_client_auth(),
        };
        rustls.alpn_protocols = common.alpn;
        rustls.resumption = if common.sessions {
            Resumption::in_memory_sessions(SESSIONS)
        } else {
            Resumption::disabled()
        };
        if common.key_log {
            rustls.key_log = Arc::new(KeyLogFile::new());
        }
        let client = Self {
            rustls: Arc::new(rustls),
            server_name: options.server_name,
            verifies: options.verify,
            limit: common.limit,
            truncation: common.truncation,
        };
        Ok((client, expires))
    }
}

fn servers(trusted: Option<&Source>, revoked: Option<&Source>) -> Result<Servers, ConfigError> {
    let (store, given) = match trusted {
        None => (system_roots()?, Vec::new()),
        Some(source) => {
            let given = pem::certificates(source)?;
            (Arc::new(roots(&given, &source.name)?), given)
        }
    };
    let mut builder = WebPkiServerVerifier::builder_with_provider(store, provider());
    if let Some(source) = revoked {
        // Where there is a list; an authority without one revokes nothing.
        builder = builder
            .with_crls(pem::revocations(source)?)
            .allow_unknown_revocation_status();
    }
    let chains = builder.build().map_err(|error| unusable(revoked, &error))?;
    Ok(Servers { chains, given })
}

/// Why there can be no verifier.
fn unusable(revoked: Option<&Source>, error: &VerifierBuilderError) -> ConfigError {
    match (revoked, error) {
        (Some(source), VerifierBuilderError::InvalidCrl(_)) => {
            ConfigError::about(source, "it holds a revocation list that cannot be read")
        }
        _ => ConfigError(error.to_string()),
    }
}

impl Server {
    /// Checks what the app said.
    pub fn new(options: ServerOptions) -> Result<Self, ConfigError> {
        let common = options.common;
        let builder = ServerConfig::builder_with_provider(provider());
        let builder = versions(builder, common.versions)?;
        let (clients, demands) = clients(&common, options.clients)?;
        let builder = match clients {
            Some(clients) => builder.with_client_cert_verifier(Arc::new(clients)),
            None => builder.with_no_client_auth(),
        };
        let own = certified(&common.identity)?
            .ok_or_else(|| ConfigError("a server needs cert_file or cert_data".to_owned()))?;
        let expires = expiry(&own);
        let mut rustls = builder.with_cert_resolver(Arc::new(Only(own)));
        rustls.alpn_protocols = common.alpn;
        rustls.session_storage = Arc::new(NoServerSessionStorage {});
        if common.sessions {
            rustls.ticketer = tickets::ticketer(&demands).map_err(refused)?;
            rustls.send_tls13_tickets = TICKETS;
        } else {
            rustls.send_tls13_tickets = 0;
        }
        if common.key_log {
            rustls.key_log = Arc::new(KeyLogFile::new());
        }
        Ok(Self {
            rustls: Arc::new(rustls),
            names: options.names,
            limit: common.limit,
            truncation: common.truncation,
            expires,
        })
    }

    /// What serves clients that ask for `name`.
    pub(crate) fn for_name(self: &Arc<Self>, name: Option<&str>) -> Arc<Self> {
        let name = name.map(str::to_ascii_lowercase);
        let found = name.and_then(|name| {
            let exact = self.names.iter().find(|one| one.0 == name);
            let found = exact.or_else(|| self.names.iter().find(|one| names::fits(&one.0, &name)));
            found.map(|found| found.1.clone())
        });
        found.unwrap_or_else(|| self.clone())
    }
}

fn clients(common: &Common, asked: ClientCerts) -> Result<(Option<Clients>, Demands), ConfigError> {
    let trusted = common.trusted.as_ref();
    let trusted = trusted.map(trust).transpose()?;
    let revoked = common.revoked.as_ref().map(pem::revocations).transpose()?;
    let revoked = revoked.unwrap_or_default();
    if asked == ClientCerts::None {
        return Ok((None, Demands::default()));
    }
    let (trusted, store) = trusted.ok_or_else(|| {
        ConfigError("client_certs needs ca_file or ca_data: whom to trust".to_owned())
    })?;
    let mut builder = WebPkiClientVerifier::builder_with_provider(store.into(), provider());
    let demands = Demands {
        mode: asked as u8,
        trusted: trusted.iter().map(|one| one.to_vec()).collect(),
        revoked: revoked.iter().map(|one| one.to_vec()).collect(),
    };
    builder = builder.with_crls(revoked).allow_unknown_revocation_status();
    if asked == ClientCerts::Optional {
        builder = builder.allow_unauthenticated();
    }
    let clients = builder
        .build()
        .map_err(|error| unusable(common.revoked.as_ref(), &error))?;
    Ok((Some(Clients(clients)), demands))
}

type Trust = (Vec<CertificateDer<'static>>, RootCertStore);

/// Who may issue certificates.
fn trust(source: &Source) -> Result<Trust, ConfigError> {
    let trusted = pem::certificates(source)?;
    let store = roots(&trusted, &source.name)?;
    Ok((trusted, store))
}
