//! Name lookup. Each has a deadline, after which its caller gets EAI_AGAIN.

use crate::io::failure::LookupFailure;
use crate::io::setup::getaddrinfo::{Answer, Found, Question, failure};
use crate::io::setup::resolver_threads::ask;
use crate::io::sys::platform::c;
use std::net::SocketAddr;
use std::time::Duration;

/// A lookup without an answer ends after this.
const DEADLINE: Duration = Duration::from_secs(30);

/// The addresses of `host`, with port 0, in the system's order (RFC 6724).
pub async fn lookup(host: &str, family: Option<i32>) -> Result<Vec<SocketAddr>, LookupFailure> {
    match ask_in_time(Question::Host(host.to_owned(), family)).await? {
        Found::Addresses(addresses) => Ok(addresses),
        Found::Name(..) => Err(failure(
            host,
            c::EAI_FAIL,
            "the resolver mixed up its answers",
        )),
    }
}

/// The name of `address` and of the service at its port.
pub async fn lookup_name(address: SocketAddr) -> Result<Found, LookupFailure> {
    ask_in_time(Question::Address(address)).await
}

async fn ask_in_time(question: Question) -> Answer {
    let shown = question.shown();
    match tokio::time::timeout(DEADLINE, ask(question)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(failure(&shown, c::EAI_FAIL, "the resolver's thread failed")),
        Err(_) => Err(failure(&shown, c::EAI_AGAIN, "no answer within 30 seconds")),
    }
}
