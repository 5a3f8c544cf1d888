//! What consumes the events of a key.
//!
//! Bytes, ends of streams and room to write are a socket's (`Dispatcher::socket`) and are dropped for any other. A sink that
//! takes bytes has to say `Memory::delivered` of them, or its connection stands still at the read limit.

use crate::objects::lookup::Lookup;
use crate::objects::poller::Poller;
use crate::objects::server::TcpServer;
use crate::socket::object::Socket;
use pyo3::prelude::*;

/// The object of a key, by its kind; found once an event.
pub enum Sink<'py> {
    /// A socket with callbacks, which connects or is connected.
    Socket(Bound<'py, Socket>),
    /// An open server.
    Server(Bound<'py, TcpServer>),
    /// A lookup of the app's.
    Lookup(Bound<'py, Lookup>),
    /// A descriptor of the app's.
    Poller(Bound<'py, Poller>),
}

impl<'py> Sink<'py> {
    /// The kind of `object`; None: none that has events.
    pub fn of(object: Bound<'py, PyAny>) -> Option<Self> {
        // Most are sockets.
        object
            .cast_into::<Socket>()
            .map(Self::Socket)
            .or_else(|other| other.into_inner().cast_into().map(Self::Server))
            .or_else(|other| other.into_inner().cast_into().map(Self::Poller))
            .or_else(|other| other.into_inner().cast_into().map(Self::Lookup))
            .ok()
    }
}
