//! What `tcp_server` and `pipe_server` have in common of how they listen.

use crate::boundary::args::{self, ProxyTimeout};
use crate::boundary::tls_context::server_of;
use crate::functions::new_socket::Given;
use crate::io::setup::listener::Options;
use pyo3::prelude::*;

/// Handshakes under way, unless the app says otherwise.
const HANDSHAKES: usize = 1024;

/// As Python gave them, by their names there; see `tcp_server`.
pub(crate) struct ListenArguments<'a, 'py> {
    pub(crate) backlog: Given<'a, 'py>,
    pub(crate) max_connections: Given<'a, 'py>,
    pub(crate) read_timeout: Given<'a, 'py>,
    pub(crate) write_timeout: Given<'a, 'py>,
    pub(crate) socket_options: Given<'a, 'py>,
    pub(crate) proxy_protocol: Given<'a, 'py>,
    pub(crate) proxy_from: Given<'a, 'py>,
    pub(crate) proxy_timeout: ProxyTimeout,
    pub(crate) tls: Given<'a, 'py>,
    pub(crate) max_handshakes: Given<'a, 'py>,
}

impl ListenArguments<'_, '_> {
    /// Checked; what TCP alone has is left as it is by itself. `unix`: peers have no addresses.
    pub(crate) fn options(self, unix: bool) -> PyResult<Options> {
        Ok(Options {
            backlog: args::backlog("backlog", self.backlog)?,
            max_connections: args::optional_whole("max_connections", self.max_connections, 1)?,
            timeouts: args::timeouts(
                ("read_timeout", self.read_timeout),
                ("write_timeout", self.write_timeout),
            )?,
            socket_options: args::socket_options("socket_options", self.socket_options)?,
            proxy: args::proxy_policy(
                self.proxy_protocol,
                self.proxy_from,
                self.proxy_timeout,
                unix,
            )?,
            tls: server_of("tls", self.tls)?,
            max_handshakes: handshakes(self.max_handshakes)?,
            ..Options::default()
        })
    }
}

fn handshakes(most: Option<&Bound<'_, PyAny>>) -> PyResult<Option<usize>> {
    Ok(Some(match most {
        None => HANDSHAKES,
        Some(most) => args::whole("max_handshakes", most, 1)?,
    }))
}
