//! What a turn does with a transport, whichever kind it is.

use crate::aio::datagram::flush as datagrams;
use crate::aio::datagram::object::DatagramTransport;
use crate::aio::datagram::read as datagram;
use crate::aio::tls::object::TlsTransport;
use crate::aio::tls::outgoing as records;
use crate::aio::transport::flush as stream_bytes;
use crate::aio::transport::object::StreamTransport;
use crate::aio::transport::read as stream;
use crate::aio::watched::Watched;
use crate::io::sys::platform::RawFd;
use crate::io::sys::platform::epoll::Interest;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

/// By kind.
pub(crate) enum Transport<'a, 'py> {
    Stream(&'a Bound<'py, StreamTransport>),
    Datagram(&'a Bound<'py, DatagramTransport>),
}

impl<'a, 'py> Transport<'a, 'py> {
    /// None: it is none.
    #[inline(always)]
    pub(crate) fn of(object: &'a Bound<'py, PyAny>) -> Option<Self> {
        let stream = object.cast::<StreamTransport>().map(Self::Stream);
        stream
            .or_else(|_| object.cast::<DatagramTransport>().map(Self::Datagram))
            .ok()
    }

    /// Of what Python has given.
    pub(crate) fn given(object: &'a Bound<'py, PyAny>) -> PyResult<Self> {
        Self::of(object).ok_or_else(|| PyTypeError::new_err("not a transport of this library's"))
    }

    /// The selector says that it is ready. Whether it did not wait in the queue already.
    pub(crate) fn note(&self, py: Python<'_>, what: Interest) -> bool {
        match self {
            Self::Stream(it) => it.get().note(py, what),
            Self::Datagram(it) => it.get().note(py, what),
        }
    }

    /// What the selector has said is done.
    #[inline]
    pub(crate) fn run(&self) -> PyResult<()> {
        match self {
            Self::Stream(it) => stream::in_context(it),
            Self::Datagram(it) => datagram::in_context(it),
        }
    }

    pub(crate) fn context(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        match self {
            Self::Stream(it) => it.get().context(py),
            Self::Datagram(it) => it.get().context(py),
        }
    }

    pub(crate) fn number(&self) -> RawFd {
        match self {
            Self::Stream(it) => it.get().number.get(),
            Self::Datagram(it) => it.get().number.get(),
        }
    }
}

/// What waits is sent; also by TLS over a transport.
#[inline]
pub(crate) fn flush(transport: &Bound<'_, PyAny>) -> PyResult<()> {
    match Transport::of(transport) {
        Some(Transport::Stream(it)) => stream_bytes::flush(it),
        Some(Transport::Datagram(it)) => datagrams::flush(it),
        None => records::flush(transport.cast::<TlsTransport>()?),
    }
}

/// Sends what a transport has, without a call of its protocol: a step that goes on wrote it.
pub(crate) fn send_late(transport: &Bound<'_, PyAny>) {
    match Transport::of(transport) {
        Some(Transport::Stream(it)) => stream_bytes::send_late(it),
        Some(Transport::Datagram(it)) => datagrams::send_late(it),
        None => {
            if let Ok(it) = transport.cast::<TlsTransport>() {
                records::send_late(it);
            }
        }
    }
}
