//! A lookup that is under way, and what its callback is told.

use crate::boundary::address::address_text;
use crate::io::setup::getaddrinfo::Found;
use crate::io::sys::platform::c;
use pyo3::prelude::*;

/// Where an answer goes. Never seen by the app.
#[pyclass(frozen, module = "asynctcp._core")]
pub struct Lookup {
    /// `callback(address, family)` or `callback(host, service)`.
    pub callback: Py<PyAny>,
    /// `event_cb(condition)`.
    pub event_cb: Option<Py<PyAny>>,
}

#[pymethods]
impl Lookup {
    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.callback)?;
        visit.call(&self.event_cb)
    }
}

/// The arguments of the callback.
pub fn arguments(found: Found) -> (String, Second) {
    match found {
        Found::Name(host, service) => (host, Second::Service(service)),
        Found::Addresses(addresses) => {
            // There is at least one: none is a failure.
            let Some(first) = addresses.first() else {
                return (String::new(), Second::Family(0));
            };
            let family = if first.is_ipv4() {
                c::AF_INET
            } else {
                c::AF_INET6
            };
            (address_text(first), Second::Family(family))
        }
    }
}

/// The second argument of a lookup's callback.
#[derive(IntoPyObject)]
pub enum Second {
    /// `socket.AF_INET` or `AF_INET6`.
    Family(i32),
    /// The name of the port's service.
    Service(String),
}
