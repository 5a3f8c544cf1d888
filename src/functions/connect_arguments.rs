//! What `tcp_connect`, `pipe_connect` and their halves are given, and the socket that is made of it.

use crate::boundary::args;
use crate::boundary::tls_context::client_of;
use crate::functions::app_socket::{ToConnect, family_of};
use crate::functions::new_socket::{Given, callbacks, handle, make, preface};
use crate::socket::max_line::MaxLine;
use crate::socket::object::Socket;
use crate::socket::state::Settings;
use crate::socket::streams;
use pyo3::prelude::*;

/// As Python gave them, by their names there; see `tcp_connect`.
#[derive(Default)]
pub(crate) struct ConnectArguments<'a, 'py> {
    pub(crate) read_cb: Given<'a, 'py>,
    pub(crate) event_cb: Given<'a, 'py>,
    pub(crate) data: Given<'a, 'py>,
    pub(crate) stream: bool,
    pub(crate) connect_cb: Given<'a, 'py>,
    pub(crate) write_cb: Given<'a, 'py>,
    pub(crate) read_timeout: Given<'a, 'py>,
    pub(crate) write_timeout: Given<'a, 'py>,
    pub(crate) dont_drain_read_buffer: Option<bool>,
    pub(crate) allow_half_open: bool,
    pub(crate) local_address: Given<'a, 'py>,
    pub(crate) family: Given<'a, 'py>,
    pub(crate) close_cb: Given<'a, 'py>,
    pub(crate) max_line: MaxLine,
    pub(crate) sock: Given<'a, 'py>,
    pub(crate) socket_options: Given<'a, 'py>,
    pub(crate) send_proxy: Given<'a, 'py>,
    pub(crate) tls: Given<'a, 'py>,
}

impl<'py> ConnectArguments<'_, 'py> {
    /// A socket that is not connected yet, and what the app gets: it or its stream.
    pub(crate) fn make(self, py: Python<'py>) -> PyResult<(Bound<'py, Socket>, Py<PyAny>)> {
        let callbacks = callbacks(
            self.read_cb,
            self.event_cb,
            self.connect_cb,
            self.write_cb,
            self.close_cb,
        )?;
        let timeouts = args::timeouts(
            ("read_timeout", self.read_timeout),
            ("write_timeout", self.write_timeout),
        )?;
        let family = args::family("family", self.family)?;
        let options = args::socket_options("socket_options", self.socket_options)?;
        let preface = preface("send_proxy", self.send_proxy)?;
        let tls = client_of("tls", self.tls)?;
        let given = ToConnect::from(self.sock)?;
        let settings = Settings {
            half_open: self.allow_half_open,
            stream: self.stream,
            dont_drain: self.dont_drain_read_buffer,
            local: args::local_address("local_address", self.local_address)?,
            family: family_of(family, given.as_ref())?,
            max_line: self.max_line,
        };
        let socket = make(py, callbacks, timeouts, settings, self.data)?;
        let made = handle(&socket, self.stream)?;
        {
            let taken = given.map(|given| given.take()).transpose()?;
            let mut state = socket.get().state.lock();
            state.set_up(options, taken, tls);
            if preface.is_some() {
                state.extras_mut().preface = preface;
            }
        }
        streams::release_own(&socket);
        Ok((socket, made))
    }
}
