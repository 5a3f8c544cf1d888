//! What the functional forms have in common: a socket from checked arguments.

use crate::boundary::args;
use crate::boundary::args::Data;
use crate::boundary::args::refusal::wrong_type;
use crate::io::conn::link::{Link, Timeouts};
use crate::objects::proxy_header::ProxyHeader;
use crate::shared::loop_state::LoopState;
use crate::socket::object::Socket;
use crate::socket::state::{Callbacks, Settings};
use crate::socket::streams;
use pyo3::prelude::*;

/// An argument that may be left out.
pub type Given<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

/// The callbacks of a connection, checked.
pub fn callbacks(
    read_cb: Given<'_, '_>,
    event_cb: Given<'_, '_>,
    connect_cb: Given<'_, '_>,
    write_cb: Given<'_, '_>,
    close_cb: Given<'_, '_>,
) -> PyResult<Callbacks> {
    Ok(Callbacks {
        read: args::callback("read_cb", read_cb)?,
        write: args::callback("write_cb", write_cb)?,
        event: args::callback("event_cb", event_cb)?,
        connect: args::callback("connect_cb", connect_cb)?,
        close: args::callback("close_cb", close_cb)?,
    })
}

/// What is to be sent before anything else: the bytes of a `ProxyHeader`.
pub fn preface(name: &str, header: Given<'_, '_>) -> PyResult<Option<Box<[u8]>>> {
    let Some(value) = header.filter(|header| !header.is_none()) else {
        return Ok(None);
    };
    match value.cast::<ProxyHeader>() {
        Ok(header) => Ok(Some(header.get().as_bytes().into())),
        Err(_) => Err(wrong_type(name, "a ProxyHeader or None", value)),
    }
}

/// A socket of the current loop, with `data` as the first that it will send.
pub fn make<'py>(
    py: Python<'py>,
    callbacks: Callbacks,
    timeouts: Timeouts,
    settings: Settings,
    data: Given<'_, 'py>,
) -> PyResult<Bound<'py, Socket>> {
    let data = data
        .filter(|data| !data.is_none())
        .map(|data| Data::from("data", data))
        .transpose()?;
    let event_loop = LoopState::current(py)?;
    let link = Link::connecting(event_loop.hub.keys.new_key(), timeouts);
    let socket = Socket::make(py, event_loop, link, callbacks, settings, None)?.into_bound(py);
    socket.get().event_loop.remember(&socket)?;
    if let Some(data) = data {
        Socket::stage(&socket, data.as_slice()?, data.owner())?;
    }
    Ok(socket)
}

/// What the app gets: the socket or its stream.
pub fn handle(socket: &Bound<'_, Socket>, stream: bool) -> PyResult<Py<PyAny>> {
    let stream = if stream {
        streams::first(socket)?
    } else {
        None
    };
    let made = stream.unwrap_or_else(|| socket.clone().into_any());
    Ok(made.unbind())
}
