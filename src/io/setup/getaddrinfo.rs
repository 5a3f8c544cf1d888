//! The system's resolver, which honours its configuration and blocks.

use crate::io::failure::{LookupFailure, describe, words};
use crate::io::sys::platform::{NULL, c};
use dns_lookup::AddrInfoHints;
use std::fs::File;
use std::io;
use std::net::SocketAddr;

/// What is looked up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Question {
    /// The addresses of a host, of one family or of both (None).
    Host(String, Option<i32>),
    /// The name of an address and of its port's service.
    Address(SocketAddr),
}

impl Question {
    /// For messages.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Host(host, _) => host.clone(),
            Self::Address(address) => address.ip().to_string(),
        }
    }
}

/// What was found.
#[derive(Debug, Clone)]
pub enum Found {
    /// Addresses with port 0, in the system's order (RFC 6724).
    Addresses(Vec<SocketAddr>),
    /// Host and service.
    Name(String, String),
}

pub(crate) type Answer = Result<Found, LookupFailure>;

/// Blocks.
pub(crate) fn answer(question: &Question) -> Answer {
    match question {
        Question::Host(host, family) => look_up(host, *family).map(Found::Addresses),
        Question::Address(address) => name(*address),
    }
}

/// Blocks; for the resolver's threads, and for a server's own address.
pub fn look_up(host: &str, family: Option<i32>) -> Result<Vec<SocketAddr>, LookupFailure> {
    let hints = AddrInfoHints {
        socktype: c::SOCK_STREAM,
        address: family.unwrap_or(c::AF_UNSPEC),
        ..AddrInfoHints::default()
    };
    let found = dns_lookup::getaddrinfo(Some(host), None, Some(hints));
    let found = found.map_err(|error| refused(host, error));
    let addresses: Vec<_> = match found {
        Ok(found) => found
            .filter_map(Result::ok)
            .map(|info| info.sockaddr)
            .collect(),
        Err(failure) => return Err(failure),
    };
    if addresses.is_empty() {
        return Err(failure(
            host,
            c::EAI_NONAME,
            "no address of this host can be used",
        ));
    }
    Ok(addresses)
}

fn refused(host: &str, error: dns_lookup::LookupError) -> LookupFailure {
    let (code, error) = (error.error_num(), io::Error::from(error));
    // Without a descriptor the resolver reads none of its files, and may take that for a name that nobody knows.
    let system = match File::open(NULL) {
        Err(want) => want,
        Ok(_) if code == c::EAI_SYSTEM => error,
        Ok(_) => {
            let text = words(&error);
            let message = text.strip_prefix("failed to lookup address information: ");
            return failure(host, code, message.unwrap_or(&text));
        }
    };
    LookupFailure {
        errno: system.raw_os_error(),
        ..failure(host, c::EAI_SYSTEM, &describe(&system))
    }
}

/// Blocks; an address without a name is a failure.
fn name(address: SocketAddr) -> Answer {
    let found = dns_lookup::getnameinfo(&address, c::NI_NAMEREQD);
    found
        .map(|(host, service)| Found::Name(host, service))
        .map_err(|error| refused(&address.ip().to_string(), error))
}

/// What a caller is told without an errno.
pub(crate) fn failure(host: &str, code: i32, message: &str) -> LookupFailure {
    LookupFailure {
        code,
        message: message.to_owned(),
        host: host.to_owned(),
        errno: None,
    }
}
