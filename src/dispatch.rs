//! From a batch of events to callbacks, and what happens when a callback raises.

use crate::condition;
use crate::core::{Core, Entry};
use crate::io;
use crate::io::loan::Owner;
use crate::io::resolve::Found;
use crate::io::sync::Mutex;
use crate::io::{Failure, Key};
use crate::life::{Life, Step};
use crate::lookup;
use crate::server::TcpServer;
use crate::socket::Socket;
use crate::socket_options;
use crate::socket_state::{Callbacks, Held, State};
use pyo3::exceptions::{PyException, PyKeyboardInterrupt, PySystemExit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;
use std::collections::VecDeque;

/// What the app said about exceptions of its callbacks.
pub enum Catch {
    /// They end the loop.
    Nothing,
    /// They go to the `event_cb` concerned (or, with false, to the log), and the loop goes on.
    All {
        /// `send_errors_to_event_cb`.
        to_event_cb: bool,
    },
    /// They go to this function.
    With(Py<PyAny>),
}

/// Replaces the default event handler; None: the library's own, which ignores what is no error.
static DEFAULT_HANDLER: Mutex<Option<Py<PyAny>>> = Mutex::new(None);
static LIBRARY_HANDLER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static LOG_APP_ERROR: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Sets what is called where an `event_cb` is None; None: the library's own handler again.
pub fn set_default_handler(handler: Option<Py<PyAny>>) {
    let old = std::mem::replace(&mut *DEFAULT_HANDLER.lock(), handler);
    drop(old);
}

/// The `event_cb` or what stands for it. None: the library's handler, which ignores `ignorable` conditions.
fn handler_for<'py>(
    py: Python<'py>,
    event_cb: Option<Py<PyAny>>,
    ignorable: bool,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    if let Some(event_cb) = event_cb {
        return Ok(Some(event_cb.into_bound(py)));
    }
    let custom = DEFAULT_HANDLER
        .lock()
        .as_ref()
        .map(|handler| handler.clone_ref(py));
    if let Some(custom) = custom {
        return Ok(Some(custom.into_bound(py)));
    }
    if ignorable {
        return Ok(None);
    }
    Ok(Some(
        LIBRARY_HANDLER
            .import(py, "asynctcp._handlers", "default_event_handler")?
            .clone(),
    ))
}

/// Calls callbacks of one loop and deals with their exceptions.
pub struct Dispatcher<'a> {
    /// The loop.
    pub core: &'a Core,
    /// What to do with exceptions.
    pub catch: &'a Catch,
}

impl Dispatcher<'_> {
    /// An exception that `callback` of `socket` raised. `event_cb`: where it may go. An error of this function ends
    /// the loop.
    pub fn app_error(
        &self,
        py: Python<'_>,
        error: PyErr,
        event_cb: Option<Py<PyAny>>,
        socket: Option<&Bound<'_, Socket>>,
    ) -> PyResult<()> {
        let ends = !error.is_instance_of::<PyException>(py)
            || error.is_instance_of::<PyKeyboardInterrupt>(py)
            || error.is_instance_of::<PySystemExit>(py);
        match self.catch {
            _ if ends => return Err(error),
            Catch::Nothing => return Err(error),
            Catch::With(function) => drop(function.bind(py).call1((error.into_value(py),))?),
            Catch::All { to_event_cb: true } if event_cb.is_some() => {
                if let Some(Err(second)) =
                    event_cb.map(|event_cb| event_cb.bind(py).call1((error.value(py),)).map(drop))
                {
                    if !second.is_instance_of::<PyException>(py) {
                        return Err(second);
                    }
                    log_app_error(py, second)?;
                }
            }
            Catch::All { .. } => log_app_error(py, error)?,
        }
        if let Some(socket) = socket {
            Socket::end(socket, false);
        }
        Ok(())
    }

    /// Calls `callback` with `arguments`; its exception goes where the app wants it.
    pub fn call<'py>(
        &self,
        callback: &Bound<'py, PyAny>,
        arguments: impl pyo3::call::PyCallArgs<'py>,
        event_cb: impl FnOnce() -> Option<Py<PyAny>>,
        socket: Option<&Bound<'py, Socket>>,
    ) -> PyResult<()> {
        match callback.call1(arguments) {
            Ok(_) => Ok(()),
            Err(error) => self.app_error(callback.py(), error, event_cb(), socket),
        }
    }

    /// `event_cb(condition)`; an exception of it never goes to it again.
    fn tell<'py>(
        &self,
        py: Python<'py>,
        event_cb: Option<Py<PyAny>>,
        ignorable: bool,
        condition: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
        socket: Option<&Bound<'py, Socket>>,
    ) -> PyResult<()> {
        match handler_for(py, event_cb, ignorable)? {
            None => Ok(()),
            Some(handler) => self.call(&handler, (condition()?,), || None, socket),
        }
    }

    /// A new connection.
    pub fn accepted(
        &self,
        py: Python<'_>,
        listener: Key,
        link: std::sync::Arc<crate::io::Link>,
    ) -> PyResult<()> {
        let Some(Entry::Server(server)) = self.core.entry(py, listener) else {
            // The server's end was seen before; nobody can serve this connection.
            link.close(&self.core.hub, true);
            return Ok(());
        };
        let socket = TcpServer::welcome(server.bind(py), link)?;
        self.connect_cb(socket.bind(py))
    }

    /// An outgoing connection is established.
    pub fn connected(&self, py: Python<'_>, key: Key) -> PyResult<()> {
        let Some(socket) = self.core.socket(py, key) else {
            return Ok(());
        };
        let socket = socket.bind(py);
        socket.get().step(Step::Establish);
        // From here on the connection itself knows its peer.
        let target = socket.get().state.lock().target.take();
        drop(target);
        match socket_options::grant(socket.get()) {
            Ok(()) => self.connect_cb(socket),
            // As if the app had set them now, in its connect_cb.
            Err(error) => self.app_error(py, error.into(), event_cb(socket), Some(socket)),
        }
    }

    fn connect_cb(&self, socket: &Bound<'_, Socket>) -> PyResult<()> {
        let py = socket.py();
        // Called once, so it is let go now.
        let callback = socket.get().state.lock().callbacks.connect.take();
        let Some(callback) = callback else {
            return Ok(());
        };
        self.call(
            callback.bind(py),
            (socket,),
            || event_cb(socket),
            Some(socket),
        )
    }

    /// Bytes came in.
    pub fn data(&self, py: Python<'_>, key: Key, bytes: &[u8]) -> PyResult<()> {
        self.core.hub.taken(bytes.len());
        let Some(socket) = self.core.socket(py, key) else {
            return Ok(());
        };
        self.arrived(socket.bind(py), PyBytes::new(py, bytes))
    }

    /// Bytes came in, into a room of ours.
    pub fn filled(&self, py: Python<'_>, key: Key, owner: Owner, count: usize) -> PyResult<()> {
        self.core.hub.taken(count);
        let Some(data) = self.core.lender.received(py, owner, count)? else {
            return Ok(());
        };
        match self.core.socket(py, key) {
            Some(socket) => self.arrived(socket.bind(py), data),
            None => Ok(()),
        }
    }

    fn arrived<'py>(&self, socket: &Bound<'py, Socket>, data: Bound<'py, PyBytes>) -> PyResult<()> {
        let way = {
            let mut state = socket.get().state.lock();
            if state.holds_back() {
                state.held.push_back(Held::Data(data.unbind()));
                return Ok(());
            }
            Way::of(socket.py(), &state)
        };
        self.deliver(socket, data, way)
    }

    /// `read_cb(socket, data)`.
    fn deliver<'py>(
        &self,
        socket: &Bound<'py, Socket>,
        data: Bound<'py, PyBytes>,
        way: Way,
    ) -> PyResult<()> {
        let me = socket.get();
        let count = data.as_bytes().len();
        self.core.hub.delivered(&me.link, count);
        io::add(&self.core.totals.bytes_read, count);
        match way {
            Way::Streams => self.feed(socket, &data),
            Way::Callback(callback) => self.read_cb(socket, callback, data.into_any()),
        }
    }

    fn read_cb<'py>(
        &self,
        socket: &Bound<'py, Socket>,
        callback: Option<Py<PyAny>>,
        data: Bound<'py, PyAny>,
    ) -> PyResult<()> {
        let Some(callback) = callback else {
            return Ok(());
        };
        self.call(
            callback.bind(socket.py()),
            (socket, data),
            || event_cb(socket),
            Some(socket),
        )
    }

    /// The bytes go to the socket's streams; the app reads them from there.
    fn feed<'py>(&self, socket: &Bound<'py, Socket>, data: &Bound<'py, PyBytes>) -> PyResult<()> {
        let py = socket.py();
        let streams = streams_of(socket);
        for stream in &streams {
            stream
                .bind(py)
                .call_method1(intern!(py, "_feed"), (data,))?;
        }
        match streams.into_iter().next() {
            Some(first) => {
                let callback = own(socket, |callbacks| &callbacks.read);
                self.read_cb(socket, callback, first.into_bound(py))
            }
            None => Ok(()),
        }
    }

    /// All that was written is with the kernel.
    pub fn flushed(&self, py: Python<'_>, key: Key) -> PyResult<()> {
        let Some(socket) = self.core.socket(py, key) else {
            return Ok(());
        };
        let socket = socket.bind(py);
        if !socket.get().link.is_flushed() {
            // More was written since; the flush of that will be told.
            return Ok(());
        }
        let Some(callback) = own(socket, |callbacks| &callbacks.write) else {
            return Ok(());
        };
        self.call(
            callback.bind(py),
            (socket,),
            || event_cb(socket),
            Some(socket),
        )
    }

    /// `TcpBufferFull` or `TcpBufferDrained`.
    pub fn buffer(&self, py: Python<'_>, key: Key, class: &str) -> PyResult<()> {
        let Some(socket) = self.core.socket(py, key) else {
            return Ok(());
        };
        let socket = socket.bind(py);
        self.tell(
            py,
            event_cb(socket),
            true,
            || condition::info(class, socket),
            Some(socket),
        )
    }

    /// End of stream.
    pub fn eof(&self, py: Python<'_>, key: Key) -> PyResult<()> {
        let Some(socket) = self.core.socket(py, key) else {
            return Ok(());
        };
        let socket = socket.bind(py);
        if is_held_back(socket, || Held::Eof) {
            return Ok(());
        }
        self.deliver_eof(socket)
    }

    fn deliver_eof(&self, socket: &Bound<'_, Socket>) -> PyResult<()> {
        let me = socket.get();
        me.step(Step::PeerEnds);
        end_streams(socket)?;
        let told = self.tell(
            socket.py(),
            event_cb(socket),
            true,
            || condition::info("TcpEof", socket),
            Some(socket),
        );
        let half_open = me.state.lock().half_open;
        if !half_open {
            Socket::end(socket, false);
        }
        told
    }

    /// The connection or the attempt failed.
    pub fn failed(&self, py: Python<'_>, key: Key, failure: Box<Failure>) -> PyResult<()> {
        let socket = match self.core.entry(py, key) {
            Some(Entry::Socket(socket)) => socket,
            Some(Entry::Server(server)) => return self.accept_failed(server.bind(py), &failure),
            Some(Entry::Lookup(lookup)) => {
                let event_cb = lookup
                    .event_cb
                    .as_ref()
                    .map(|callback| callback.clone_ref(py));
                return self.tell(
                    py,
                    event_cb,
                    false,
                    || condition::lookup_failure(py, &failure),
                    None,
                );
            }
            None => return Ok(()),
        };
        let socket = socket.bind(py);
        {
            let mut state = socket.get().state.lock();
            let at_once = matches!(*failure, Failure::Sending(_)) && !state.reading;
            if !state.held.is_empty() && !at_once {
                state.held.push_back(Held::Failed(failure));
                return Ok(());
            }
        }
        self.deliver_failure(socket, &failure)
    }

    fn deliver_failure(&self, socket: &Bound<'_, Socket>, failure: &Failure) -> PyResult<()> {
        end_streams(socket)?;
        let told = self.tell(
            socket.py(),
            event_cb(socket),
            false,
            || condition::failure(socket, failure),
            Some(socket),
        );
        Socket::end(socket, true);
        told
    }

    /// A server's accept failed.
    pub fn accept_failed(&self, server: &Bound<'_, TcpServer>, failure: &Failure) -> PyResult<()> {
        let py = server.py();
        let event_cb = server.get().event_cb(py);
        self.tell(
            py,
            event_cb,
            false,
            || TcpServer::accept_error(server, failure),
            None,
        )
    }

    /// A task ended.
    pub fn gone(&self, py: Python<'_>, key: Key) {
        self.core.gone(key);
        match self.core.entry(py, key) {
            Some(Entry::Server(server)) => server.get().end(),
            Some(Entry::Lookup(_)) => {}
            // A socket stays until its end was delivered.
            Some(Entry::Socket(_)) | None => return,
        }
        drop(self.core.remove(key));
    }

    /// A lookup has its answer.
    pub fn found(&self, py: Python<'_>, key: Key, found: Found) -> PyResult<()> {
        let Some(Entry::Lookup(lookup)) = self.core.entry(py, key) else {
            return Ok(());
        };
        let event_cb = || {
            lookup
                .event_cb
                .as_ref()
                .map(|callback| callback.clone_ref(py))
        };
        self.call(
            lookup.callback.bind(py),
            lookup::arguments(found),
            event_cb,
            None,
        )
    }

    /// A read or write timeout, unless the app changed its mind since.
    pub fn timed_out(
        &self,
        py: Python<'_>,
        key: Key,
        epoch: u32,
        failure: &Failure,
    ) -> PyResult<()> {
        let Some(socket) = self.core.socket(py, key) else {
            return Ok(());
        };
        let socket = socket.bind(py);
        if socket.get().link.epoch() != epoch {
            return Ok(());
        }
        let told = self.tell(
            py,
            event_cb(socket),
            false,
            || condition::failure(socket, failure),
            Some(socket),
        );
        Socket::end(socket, matches!(failure, Failure::Stalled(_)));
        told
    }

    /// A write met a failure that waits behind held data: it is told at once.
    pub fn met(&self, socket: &Bound<'_, Socket>) -> PyResult<()> {
        let failure = {
            let mut state = socket.get().state.lock();
            let held = std::mem::take(&mut state.held);
            let (failed, others) = held
                .into_iter()
                .partition(|held| matches!(held, Held::Failed(_)));
            let failed: VecDeque<Held> = failed;
            state.held = others;
            failed.into_iter().next()
        };
        match failure {
            Some(Held::Failed(failure)) => self.deliver_failure(socket, &failure),
            _ => Ok(()),
        }
    }

    /// The app reads again: what was held is delivered in order, until it stops reading or is done.
    pub fn resume(&self, socket: &Bound<'_, Socket>) -> PyResult<()> {
        let delivered = self.deliver_held(socket);
        if delivered.is_err() {
            // A foreign loop goes on after an exception, and then with the rest.
            let rest = socket.clone().unbind();
            self.core.post(|posts| posts.resumed.push_back(rest));
        }
        delivered
    }

    fn deliver_held(&self, socket: &Bound<'_, Socket>) -> PyResult<()> {
        loop {
            let held = {
                let mut state = socket.get().state.lock();
                if !state.reading || state.life == Life::Closed {
                    return Ok(());
                }
                state.held.pop_front()
            };
            if self.core.is_exiting() {
                return Ok(());
            }
            match held {
                None => return Ok(()),
                Some(Held::Data(data)) => {
                    let way = Way::of(socket.py(), &socket.get().state.lock());
                    self.deliver(socket, data.into_bound(socket.py()), way)?;
                }
                Some(Held::Eof) => self.deliver_eof(socket)?,
                Some(Held::Failed(failure)) => self.deliver_failure(socket, &failure)?,
            }
        }
    }
}

/// Where received bytes go.
enum Way {
    /// To the socket's streams.
    Streams,
    /// To its `read_cb`.
    Callback(Option<Py<PyAny>>),
}

impl Way {
    fn of(py: Python<'_>, state: &State) -> Self {
        if state.keeps {
            return Self::Streams;
        }
        let callback = state.callbacks.read.as_ref();
        Self::Callback(callback.map(|callback| callback.clone_ref(py)))
    }
}

/// Holds back what comes, where that is to be.
fn is_held_back(socket: &Bound<'_, Socket>, held: impl FnOnce() -> Held) -> bool {
    let mut state = socket.get().state.lock();
    let holds = state.holds_back();
    if holds {
        state.held.push_back(held());
    }
    holds
}

fn streams_of(socket: &Bound<'_, Socket>) -> Vec<Py<PyAny>> {
    let state = socket.get().state.lock();
    state
        .streams()
        .iter()
        .map(|stream| stream.clone_ref(socket.py()))
        .collect()
}

/// Nothing more comes: what the streams hold is all there will be.
fn end_streams(socket: &Bound<'_, Socket>) -> PyResult<()> {
    let py = socket.py();
    streams_of(socket)
        .iter()
        .try_for_each(|stream| stream.bind(py).call_method0(intern!(py, "_end")).map(drop))
}

fn event_cb(socket: &Bound<'_, Socket>) -> Option<Py<PyAny>> {
    own(socket, |callbacks| &callbacks.event)
}

/// One of the socket's callbacks.
fn own(
    socket: &Bound<'_, Socket>,
    which: impl FnOnce(&Callbacks) -> &Option<Py<PyAny>>,
) -> Option<Py<PyAny>> {
    let state = socket.get().state.lock();
    let callback = which(&state.callbacks).as_ref();
    callback.map(|callback| callback.clone_ref(socket.py()))
}

/// Logs an exception of the app's with its traceback.
fn log_app_error(py: Python<'_>, error: PyErr) -> PyResult<()> {
    let log = LOG_APP_ERROR.import(py, "asynctcp._handlers", "log_app_error")?;
    log.call1((error.into_value(py),)).map(drop)
}
