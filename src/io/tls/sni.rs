//! The name that a client asks for (SNI; RFC 6066, 3).

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::cell::RefCell;
use std::sync::Arc;

thread_local! {
    /// Of the hello that this thread has just looked at: rustls' unbuffered sessions do not tell it otherwise.
    static ASKED_FOR: RefCell<Option<Box<str>>> = const { RefCell::new(None) };
}

/// The name in the hello that was looked at since this was last asked, by this thread.
pub(crate) fn asked_for() -> Option<Box<str>> {
    ASKED_FOR.take()
}

/// One certificate, whatever is asked for.
#[derive(Debug)]
pub(crate) struct SingleCert(pub(crate) Arc<CertifiedKey>);

impl ResolvesServerCert for SingleCert {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        ASKED_FOR.set(hello.server_name().map(Box::from));
        Some(self.0.clone())
    }
}

/// Whether `name` is what `pattern` stands for: a host, or `*.` and the rest of it, which stands for one label
/// (RFC 6125, 6.4.3). Both in lower case.
pub(crate) fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_prefix("*.") {
        None => pattern == name,
        Some(rest) => name
            .split_once('.')
            .is_some_and(|(label, parent)| !label.is_empty() && parent == rest),
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_star_stands_for_one_label() {
        assert!(fits("a.example", "a.example") && !fits("a.example", "b.example"));
        assert!(fits("*.example", "a.example"));
        assert!(!fits("*.example", "a.b.example") && !fits("*.example", "example"));
        assert!(!fits("*.example", ".example"));
    }
}
