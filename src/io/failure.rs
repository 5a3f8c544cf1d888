//! What can go wrong with a connection, as plain data; the pump side makes a condition of it.

use crate::io::proxy::fault::Fault;
use crate::io::sys::address::Address;
use crate::io::sys::platform::c;
use crate::io::tls::failure::TlsFailure;
use std::io;

/// There is no memory for what a peer or the app sends, which ends its connection.
#[cold]
pub fn no_memory() -> io::Error {
    io::Error::from_raw_os_error(c::ENOMEM)
}

/// Why a connection, an attempt or an accept failed.
#[derive(Debug)]
pub enum Failure {
    /// The system said so.
    Os(io::Error),
    /// A write met it, with reading disabled or at its end: told at once, data that waits or not.
    Sending(io::Error),
    /// A read or connection timeout passed.
    Timeout(&'static str),
    /// A write timeout passed: what waits to be sent will never be.
    Stalled(&'static str),
    /// A name could not be looked up.
    Lookup(LookupFailure),
    /// No address of a host could be connected to.
    Connect(Box<ConnectFailure>),
    /// A descriptor from outside, or a file in the way, that cannot be used: an errno, and what it is.
    Unfit(i32, String),
    /// A server has refused a connection for its PROXY header.
    Proxy(Fault),
    /// No thread can be started.
    NoThread,
    /// The connection's task panicked; its message.
    Panic(String),
    /// The handshake or the session (TLS) failed.
    Tls(Box<TlsFailure>),
}

/// A failed name lookup.
#[derive(Debug, Clone)]
pub struct LookupFailure {
    /// The EAI_ code of getaddrinfo.
    pub code: i32,
    /// The resolver's words.
    pub message: String,
    /// The name that was looked up.
    pub host: String,
    /// With EAI_SYSTEM: the errno of what the system refused to the resolver.
    pub errno: Option<i32>,
}

/// Why no connection came about, and what each attempt said.
#[derive(Debug)]
pub struct ConnectFailure {
    /// What to tell of it all.
    pub why: Failure,
    /// In the order in which they were begun.
    pub tries: Vec<Try>,
}

/// What became of one attempt.
#[derive(Debug)]
pub struct Try {
    /// Whom it was to reach.
    pub address: Address,
    /// Its errno.
    pub code: i32,
    /// The system's words.
    pub text: String,
}

impl From<io::Error> for Failure {
    /// What a session refused comes in an error of the system's type.
    fn from(error: io::Error) -> Self {
        match error.downcast::<TlsFailure>() {
            Ok(tls) => Self::Tls(Box::new(tls)),
            Err(error) => Self::Os(error),
        }
    }
}

impl Failure {
    /// The errno that a condition carries (EAI code for lookups).
    pub fn code(&self) -> i32 {
        match self {
            Self::Os(error) | Self::Sending(error) => error.raw_os_error().unwrap_or(c::EIO),
            Self::Timeout(_) | Self::Stalled(_) => c::ETIMEDOUT,
            Self::Lookup(lookup) => lookup.code,
            Self::Connect(connect) => connect.why.code(),
            Self::Unfit(code, _) => *code,
            Self::Proxy(fault) => fault.code(),
            Self::NoThread => c::EAGAIN,
            Self::Panic(_) => c::EIO,
            Self::Tls(_) => c::EPROTO,
        }
    }

    /// Lower case, no full stop.
    pub fn message(&self) -> String {
        match self {
            Self::Os(error) | Self::Sending(error) => describe(error),
            Self::Timeout(what) | Self::Stalled(what) => (*what).to_owned(),
            Self::Lookup(lookup) => lookup.message.clone(),
            Self::Connect(connect) => connect.why.message(),
            Self::Unfit(_, what) => what.clone(),
            Self::Proxy(fault) => fault.message(),
            Self::NoThread => "can't start new thread".to_owned(),
            Self::Panic(message) => format!("internal error: {message}"),
            Self::Tls(tls) => tls.message.clone(),
        }
    }
}

/// The system's text in lower case.
pub fn describe(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(_) => words(error).to_lowercase(),
        None => words(error),
    }
}

/// The system's text without Rust's trailing "(os error N)": the number is carried beside it.
pub fn words(error: &io::Error) -> String {
    let mut text = error.to_string();
    if let Some(end) = text.find(" (os error") {
        text.truncate(end);
    }
    text
}
