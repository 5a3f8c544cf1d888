//! What a client or a server was set to: made once, with all that is parsed and checked, and used for many connections.

use crate::io::tls::certificate::{self, Outline, Role};
use crate::io::tls::chain::Chains;
use crate::io::tls::options::{ClientCerts, Common, ConfigError, Identity, Source};
use crate::io::tls::sni::{self, SingleCert};
use crate::io::tls::tickets::{self, Demands};
use crate::io::tls::trust::{self, Trust};
use crate::io::tls::verify::{NoVerification, VerifyClient, VerifyServer};
use crate::io::tls::{pem, words};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::ServerName;
use rustls::server::NoServerSessionStorage;
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ConfigBuilder, ConfigSide, KeyLogFile, ServerConfig, SupportedProtocolVersion,
    WantsVerifier, WantsVersions,
};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

/// Sessions that a client keeps to resume.
const SESSIONS: usize = 256;
/// Tickets that a server gives a connection: a second one would cost 3 % of a handshake.
const TICKETS: usize = 1;

/// Of a client.
pub struct ClientTls {
    pub(crate) rustls: Arc<ClientConfig>,
    /// In place of the host that is connected to.
    pub server_name: Option<ServerName<'static>>,
    /// Whose certificate it is matters.
    pub verifies: bool,
    pub(crate) limit: Option<Duration>,
    pub(crate) truncation: bool,
}

/// Of a server.
pub struct ServerTls {
    pub(crate) rustls: Arc<ServerConfig>,
    /// Others by the name that the client asks for, ASCII and lower case.
    pub(crate) names: Vec<(String, Arc<ServerTls>)>,
    pub(crate) limit: Option<Duration>,
    pub(crate) truncation: bool,
    /// When its certificate expires.
    pub expires: Option<SystemTime>,
}

/// What a [`ClientTls`] may say beyond what both may.
pub struct ClientOptions {
    /// What both may say.
    pub common: Common,
    /// False: anybody is whom one wants to talk to.
    pub verify: bool,
    /// In place of the host that is connected to.
    pub server_name: Option<ServerName<'static>>,
}

/// What a [`ServerTls`] may say beyond what both may.
pub struct ServerOptions {
    /// What both may say.
    pub common: Common,
    /// Whether clients are asked for a certificate.
    pub clients: ClientCerts,
    /// Others by the name that the client asks for.
    pub names: Vec<(String, Arc<ServerTls>)>,
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ClientTls")
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ServerTls")
    }
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    let made = || Arc::new(aws_lc_rs::default_provider());
    PROVIDER.get_or_init(made).clone()
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    provider().signature_verification_algorithms
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

/// The identity's chain and key, which fit each other.
fn certified(identity: &Identity) -> Result<Option<Arc<CertifiedKey>>, ConfigError> {
    let Some(source) = &identity.chain else {
        return Ok(None);
    };
    let chain = pem::certificates(source)?;
    if chain.iter().any(|one| Outline::of(one).is_none()) {
        return Err(ConfigError::about(source, pem::UNREADABLE));
    }
    let key_source = identity.key.as_ref().unwrap_or(source);
    let key = pem::key(key_source, identity)?;
    let certified = CertifiedKey::from_der(chain, key, &provider());
    let certified = certified.map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => ConfigError(format!(
            "{}: the key is not that of the certificate in {}",
            key_source.name, source.name
        )),
        // About its own certificate, as it is all that was read by now but for the key.
        error @ rustls::Error::InvalidCertificate(_) => {
            ConfigError::about(source, words::own(&error))
        }
        error => ConfigError::about(key_source, error),
    })?;
    Ok(Some(Arc::new(certified)))
}

fn expiry(certified: &CertifiedKey) -> Option<SystemTime> {
    certificate::expiry(certified.cert.first()?)
}

impl ClientTls {
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
            builder.with_custom_certificate_verifier(Arc::new(NoVerification(algorithms())))
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

fn servers(
    trusted: Option<&Source>,
    revoked: Option<&Source>,
) -> Result<VerifyServer, ConfigError> {
    let trust = match trusted {
        None => trust::of_system()?,
        Some(source) => Arc::new(Trust::of(source)?),
    };
    let revoked = revoked.map(pem::revocations).transpose()?;
    Ok(VerifyServer(Chains {
        trust,
        revoked: revoked.map(|lists| lists.parsed).unwrap_or_default(),
        algorithms: algorithms(),
        role: Role::Server,
    }))
}

impl ServerTls {
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
        let mut rustls = builder.with_cert_resolver(Arc::new(SingleCert(own)));
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
            let found = exact.or_else(|| self.names.iter().find(|one| sni::fits(&one.0, &name)));
            found.map(|found| found.1.clone())
        });
        found.unwrap_or_else(|| self.clone())
    }
}

fn clients(
    common: &Common,
    asked: ClientCerts,
) -> Result<(Option<VerifyClient>, Demands), ConfigError> {
    // Read also where nobody is asked: what is wrong is told.
    let trust = common.trusted.as_ref().map(Trust::of).transpose()?;
    let revoked = common.revoked.as_ref().map(pem::revocations).transpose()?;
    let revoked = revoked.unwrap_or_default();
    if asked == ClientCerts::None {
        return Ok((None, Demands::default()));
    }
    let trust = trust.ok_or_else(|| {
        ConfigError("client_certs needs ca_file or ca_data: whom to trust".to_owned())
    })?;
    let demands = Demands {
        mode: asked as u8,
        trusted: trust.given().iter().map(|one| one.to_vec()).collect(),
        revoked: revoked.der,
    };
    let clients = VerifyClient {
        hints: trust.hints(),
        required: asked == ClientCerts::Required,
        chains: Chains {
            trust: Arc::new(trust),
            revoked: revoked.parsed,
            algorithms: algorithms(),
            role: Role::Client,
        },
    };
    Ok((Some(clients), demands))
}
