//! What differs between versions of asyncio.

use crate::aio::datagram::object::Datagram;
use pyo3::prelude::*;
use std::sync::OnceLock;

/// Of this version.
pub(crate) struct Rules {
    /// An empty datagram is one.
    pub(crate) sends_empty: bool,
    /// What each counts for beside its bytes.
    header: usize,
}

pub(crate) fn rules(py: Python<'_>) -> &'static Rules {
    static RULES: OnceLock<Rules> = OnceLock::new();
    RULES.get_or_init(|| {
        let is_new = py.version_info() >= (3, 13);
        Rules {
            sends_empty: is_new,
            header: if is_new { 8 } else { 0 },
        }
    })
}

/// What it counts for while it waits.
pub(crate) fn size_of(py: Python<'_>, datagram: &Datagram) -> usize {
    datagram.data.as_bytes(py).len() + rules(py).header
}
