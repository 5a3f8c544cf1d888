//! `dns_lookup` and `reverse_dns_lookup`.

use crate::boundary::args;
use crate::boundary::args::HostArg;
use crate::io::setup::family::is_of;
use crate::io::setup::lookup;
use crate::io::setup::lookup::Query;
use crate::objects::lookup::Lookup;
use crate::shared::loop_state::LoopState;
use pyo3::prelude::*;

/// Looks up a host's address, without blocking.
///
/// Args:
///     host: a host name; an IP address is its own answer.
///     callback: `callback(address: str, family: int)` with the address that the system prefers.
///     event_cb: `event_cb(condition)` with a `DnsError` if it fails; None: the default event handler.
///     family: `socket.AF_UNSPEC`, `AF_INET` or `AF_INET6`.
///
/// A lookup without an answer ends after 30 seconds (EAI_AGAIN). Raises `EventLoopError`, `TypeError`, `ValueError`.
/// Callbacks run in the loop's thread. cl-async: `dns-lookup`.
#[pyfunction]
#[pyo3(signature = (host, callback, *, event_cb=None, family=None),
       text_signature = "(host, callback, *, event_cb=None, family=0)")]
pub fn dns_lookup(
    host: &Bound<'_, PyAny>,
    callback: &Bound<'_, PyAny>,
    event_cb: Option<&Bound<'_, PyAny>>,
    family: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let family = args::family("family", family)?;
    let query = match args::host("host", host)? {
        HostArg::Literal(address) if is_of(address.ip(), family) => Query::Literal(address),
        // The resolver refuses a literal of the other family with the right code.
        HostArg::Literal(address) => Query::Host(address.ip().to_string(), family),
        HostArg::Name(name) => Query::Host(name, family),
    };
    start(query, callback, event_cb)
}

/// Looks up the name of an address, without blocking.
///
/// Args:
///     address: an IPv4 or IPv6 address.
///     callback: `callback(host: str, service: str)`.
///     port: whose service is wanted, 0 to 65535.
///     event_cb: `event_cb(condition)` with a `DnsError` if it fails, also if the address has no name; None: the
///         default event handler.
///
/// Raises `EventLoopError`, `TypeError`, `ValueError`. Callbacks run in the loop's thread. cl-async:
/// `reverse-dns-lookup`.
#[pyfunction]
#[pyo3(signature = (address, callback, *, port=None, event_cb=None),
       text_signature = "(address, callback, *, port=0, event_cb=None)")]
pub fn reverse_dns_lookup(
    address: &Bound<'_, PyAny>,
    callback: &Bound<'_, PyAny>,
    port: Option<&Bound<'_, PyAny>>,
    event_cb: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let mut literal = args::literal_host("address", address)?;
    literal.set_port(port.map_or(Ok(0), |port| args::port("port", port, 0))?);
    start(Query::Address(literal), callback, event_cb)
}

fn start(
    query: Query,
    callback: &Bound<'_, PyAny>,
    event_cb: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let lookup = Lookup {
        callback: args::required_callback("callback", callback)?,
        event_cb: args::callback("event_cb", event_cb)?,
    };
    let py = callback.py();
    let event_loop = LoopState::current(py)?;
    let lookup = Py::new(py, lookup)?.into_any();
    let key = event_loop.hub.keys.new_key();
    event_loop.table.insert(key, lookup);
    lookup::start(&event_loop.hub, key, query);
    Ok(())
}
