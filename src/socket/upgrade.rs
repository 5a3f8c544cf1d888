//! TLS that is to come on a connection that is there (STARTTLS).

use crate::io::conn::control::Session;
use pyo3::prelude::*;

/// A session that the app asked for on a connection that is there.
pub(crate) struct Upgrade {
    /// None once its handshake has begun.
    pub(crate) session: Option<Session>,
    /// What was received for it and told as the app's.
    pub(crate) received: Vec<u8>,
    /// Called when it is open.
    pub(crate) connect_cb: Option<Py<PyAny>>,
}

impl Upgrade {
    /// For Python's garbage collector.
    pub(crate) fn visit(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        visit.call(&self.connect_cb)
    }
}
