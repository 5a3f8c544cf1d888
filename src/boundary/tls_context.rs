//! What a `TlsConfig` of Python's stands for, and how one is made of what the app said.

use crate::boundary::args::hosts::idna;
use crate::boundary::args::refusal::wrong_type;
use crate::boundary::args::times::timeout;
use crate::boundary::condition;
use crate::io::tls::config::{ClientOptions, ClientTls, ServerOptions, ServerTls};
use crate::io::tls::options::{ClientCerts, Common, ConfigError, Identity, Source};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBool;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::time::SystemTime;

/// The native half of a `TlsConfig`.
#[pyclass(frozen, name = "_TlsContext", module = "asynctcp._core")]
pub struct TlsContext {
    role: Role,
    expires: Option<SystemTime>,
}

enum Role {
    Client(Arc<ClientTls>),
    Server(Arc<ServerTls>),
}

#[pymethods]
impl TlsContext {
    /// `"client"` or `"server"`.
    #[getter]
    fn role(&self) -> &'static str {
        match self.role {
            Role::Client(_) => "client",
            Role::Server(_) => "server",
        }
    }

    /// Whom a client expects whatever the host; None: the host.
    #[getter]
    fn server_name(&self) -> Option<String> {
        match &self.role {
            Role::Client(client) => client.server_name.as_ref().map(|name| name.to_str().into()),
            Role::Server(_) => None,
        }
    }

    /// Seconds that a handshake may take.
    #[getter]
    fn handshake_limit(&self) -> Option<f64> {
        let limit = match &self.role {
            Role::Client(client) => client.limit,
            Role::Server(server) => server.limit,
        };
        limit.map(|limit| limit.as_secs_f64())
    }

    /// Whether its own certificate has expired by now.
    #[getter]
    fn expired(&self) -> bool {
        self.expires
            .is_some_and(|expires| expires <= SystemTime::now())
    }
}

type Named = (String, Vec<u8>);

/// What clients and servers say, as `asynctcp._tls` has checked it.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Said<'py> {
    chain: Option<Named>,
    key: Option<Named>,
    trusted: Option<Named>,
    revoked: Option<Named>,
    password: Option<Vec<u8>>,
    alpn: Vec<Vec<u8>>,
    versions: (bool, bool),
    sessions: bool,
    limit: Bound<'py, PyAny>,
    truncation: bool,
    key_log: bool,
}

impl Said<'_> {
    fn common(self) -> PyResult<Common> {
        let source = |named: Option<Named>| named.map(|(name, pem)| Source { name, pem });
        Ok(Common {
            identity: Identity {
                chain: source(self.chain),
                key: source(self.key),
                password: self.password,
            },
            trusted: source(self.trusted),
            revoked: source(self.revoked),
            alpn: self.alpn,
            versions: self.versions,
            sessions: self.sessions,
            limit: timeout("handshake_timeout", Some(&self.limit))?,
            truncation: self.truncation,
            key_log: self.key_log,
        })
    }
}

fn refused(py: Python<'_>, error: &ConfigError) -> PyErr {
    condition::tls_config_error(py, &error.0)
}

/// The native half of `TlsConfig.client`.
#[pyfunction]
pub fn _tls_client(
    py: Python<'_>,
    said: Said<'_>,
    verify: bool,
    server_name: Option<&str>,
) -> PyResult<TlsContext> {
    let options = ClientOptions {
        common: said.common()?,
        verify,
        server_name: server_name.map(name_of).transpose()?,
    };
    let made = py.detach(|| ClientTls::new(options));
    let (client, expires) = made.map_err(|error| refused(py, &error))?;
    let role = Role::Client(Arc::new(client));
    Ok(TlsContext { role, expires })
}

/// The native half of `TlsConfig.server`.
#[pyfunction]
pub fn _tls_server(
    py: Python<'_>,
    said: Said<'_>,
    client_certs: &str,
    names: Vec<(String, Bound<'_, TlsContext>)>,
) -> PyResult<TlsContext> {
    let names = names.into_iter().map(|(name, context)| {
        let found = context.get().server();
        let server = found.ok_or_else(|| {
            PyValueError::new_err(format!("names[{name:?}] must be a TlsConfig.server(...)"))
        })?;
        Ok((asked_for(&name)?, server))
    });
    let options = ServerOptions {
        common: said.common()?,
        clients: match client_certs {
            "required" => ClientCerts::Required,
            "optional" => ClientCerts::Optional,
            _ => ClientCerts::None,
        },
        names: names.collect::<PyResult<_>>()?,
    };
    let server = py
        .detach(|| ServerTls::new(options))
        .map_err(|error| refused(py, &error))?;
    let expires = server.expires;
    let role = Role::Server(Arc::new(server));
    Ok(TlsContext { role, expires })
}

impl TlsContext {
    /// A client's.
    pub(crate) fn client(&self) -> Option<Arc<ClientTls>> {
        match &self.role {
            Role::Client(client) => Some(client.clone()),
            Role::Server(_) => None,
        }
    }

    /// A server's.
    pub(crate) fn server(&self) -> Option<Arc<ServerTls>> {
        match &self.role {
            Role::Server(server) => Some(server.clone()),
            Role::Client(_) => None,
        }
    }
}

/// A host of `names`, with a star or without, as clients ask for it.
fn asked_for(host: &str) -> PyResult<String> {
    let (star, name) = match host.strip_prefix("*.") {
        Some(name) => ("*.", name),
        None => ("", host),
    };
    let name = ascii(name).filter(|name| ServerName::try_from(name.as_str()).is_ok());
    let name = name.ok_or_else(|| {
        PyValueError::new_err(format!(
            "names[{host:?}] is not a host that a client can ask for"
        ))
    })?;
    Ok(format!("{star}{}", name.to_ascii_lowercase()))
}

/// A host as it is sent and as certificates have it; None: it cannot be.
fn ascii(host: &str) -> Option<String> {
    let name = if host.is_ascii() {
        host.to_owned()
    } else {
        idna(host)?
    };
    // The dot that says that a name is whole is no part of it (RFC 6066, 3).
    Some(name.strip_suffix('.').unwrap_or(&name).to_owned())
}

/// Whom a certificate must be for.
pub fn name_of(host: &str) -> PyResult<ServerName<'static>> {
    let name = host.split('%').next().unwrap_or(host);
    let name = ascii(name).and_then(|name| ServerName::try_from(name).ok());
    name.ok_or_else(|| {
        PyValueError::new_err(format!(
            "{host:?} is not a name that a certificate can be for: give server_name"
        ))
    })
}

type Given<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

fn context<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, TlsContext>>> {
    static CONFIG: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = CONFIG.import(value.py(), "asynctcp._tls", "TlsConfig")?;
    if !value.is_instance(class)? {
        return Ok(None);
    }
    let context = value.getattr(intern!(value.py(), "_context"))?;
    Ok(context.cast_into().ok())
}

/// What a client was given: True stands for what `TlsConfig.client()` makes.
pub fn client_of(name: &str, value: Given<'_, '_>) -> PyResult<Option<Arc<ClientTls>>> {
    let Some(value) = value.filter(|value| !value.is_none()) else {
        return Ok(None);
    };
    if let Ok(flag) = value.cast::<PyBool>() {
        return flag.is_true().then(|| usual(value.py())).transpose();
    }
    let found = context(value)?.and_then(|context| context.get().client());
    let wanted = "a TlsConfig.client(...), True or None";
    found
        .map(Some)
        .ok_or_else(|| wrong_type(name, wanted, value))
}

/// What a server was given.
pub fn server_of(name: &str, value: Given<'_, '_>) -> PyResult<Option<Arc<ServerTls>>> {
    let Some(value) = value.filter(|value| !value.is_none()) else {
        return Ok(None);
    };
    let found = context(value)?.and_then(|context| context.get().server());
    let wanted = "a TlsConfig.server(...) or None";
    found
        .map(Some)
        .ok_or_else(|| wrong_type(name, wanted, value))
}

/// One for all, so that they resume each other's sessions.
fn usual(py: Python<'_>) -> PyResult<Arc<ClientTls>> {
    static USUAL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let made = USUAL.get_or_try_init(py, || {
        let class = py.import("asynctcp._tls")?.getattr("TlsConfig")?;
        class.call_method0("client").map(Bound::unbind)
    })?;
    let found = context(made.bind(py))?.and_then(|context| context.get().client());
    found.ok_or_else(|| PyValueError::new_err("TlsConfig.client() made no client's config"))
}
