//! Events of sockets, servers and lookups: what each means, and which callbacks it leads to.

use crate::boundary::call::call;
use crate::boundary::callback::Which;
use crate::boundary::condition;
use crate::io::conn::link::Link;
use crate::io::conn::loan::Owner;
use crate::io::counter::add;
use crate::io::event::{Refused, Timeout};
use crate::io::failure::{Failure, no_memory};
use crate::io::keys::Key;
use crate::io::setup::connect::Host;
use crate::io::setup::getaddrinfo::Found;
use crate::io::setup::listener::Listener;
use crate::objects::lookup;
use crate::objects::lookup::Lookup;
use crate::objects::server::TcpServer;
use crate::shared::closings::Closing;
use crate::socket::ending;
use crate::socket::object::Socket;
use crate::socket::options;
use crate::socket::phase::Step;
use crate::socket::reason::Reason;
use crate::socket::state::{Callbacks, State};
use crate::socket::streams;
use crate::socket::undelivered::Undelivered;
use crate::turn::app_error::Whose;
use crate::turn::dispatcher::Dispatcher;
use crate::turn::sink::Sink;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::sync::Arc;

impl Dispatcher<'_> {
    /// The socket's closing condition, then its end.
    fn end(
        &self,
        socket: &Bound<'_, Socket>,
        reason: Reason,
        ignorable: bool,
        force: bool,
    ) -> PyResult<()> {
        ending::begin(socket.get(), reason);
        let ended = end_streams(socket);
        let told = self.tell(socket, ignorable, || ending::told(socket));
        Socket::end(socket, force);
        ended.and(told)
    }

    /// A socket was closed before this turn.
    pub fn closed(&self, py: Python<'_>, closing: &Closing) -> PyResult<()> {
        let socket = closing.socket.bind(py).cast::<Socket>()?;
        let reason = ending::reason_for(socket, closing)?;
        self.call(
            closing.close_cb.bind(py),
            (socket, reason),
            Which::Close,
            Whose::Socket(socket),
        )
    }

    /// A new connection.
    pub fn accepted(&self, py: Python<'_>, listener: &Listener, link: Arc<Link>) -> PyResult<()> {
        listener.served(&self.event_loop.hub);
        let Some(Sink::Server(server)) = self.sink(py, listener.key) else {
            // The server's end was seen before; nobody can serve this connection.
            link.close(&self.event_loop.hub, true);
            return Ok(());
        };
        match TcpServer::welcome(&server, link.clone()) {
            Ok(socket) => self.connect_cb(socket.bind(py)),
            Err(error) => {
                // Nobody knows of the connection, and a foreign loop goes on.
                link.close(&self.event_loop.hub, true);
                Err(error)
            }
        }
    }

    /// An outgoing connection is established.
    pub fn connected(&self, py: Python<'_>, key: Key) -> PyResult<()> {
        let Some(socket) = self.socket(py, key) else {
            return Ok(());
        };
        let socket = &socket;
        socket.get().step(Step::Establish);
        // From here on the connection itself knows its peer, but for the name, which STARTTLS may ask for.
        let known = |target: &mut Box<Host>| matches!(**target, Host::Address(_));
        let target = socket.get().state.lock().target.take_if(known);
        drop(target);
        match options::apply_pending(socket.get()) {
            Ok(()) => self.connect_cb(socket),
            // The app set it long before, and cannot be told by an exception any more.
            Err(failure) => self.deliver_failure(socket, Box::new(failure)),
        }
    }

    fn connect_cb(&self, socket: &Bound<'_, Socket>) -> PyResult<()> {
        let py = socket.py();
        // Called once, so it is let go now.
        let callback = socket.get().state.lock().callbacks.connect.take();
        let called = callback.map_or(Ok(()), |callback| {
            self.call(
                callback.bind(py),
                (socket,),
                Which::Connect,
                Whose::Socket(socket),
            )
        });
        socket.get().link.note_delivered(&self.event_loop.hub);
        called
    }

    /// Bytes came in.
    #[inline(always)]
    pub fn data<'py>(
        &self,
        py: Python<'py>,
        key: Key,
        count: usize,
        data: PyResult<Bound<'py, PyBytes>>,
    ) -> PyResult<()> {
        self.event_loop.hub.inbox.memory.taken(count);
        let Some(socket) = self.socket(py, key) else {
            return Ok(());
        };
        match data {
            Ok(data) => self.arrived(&socket, data),
            Err(_) => self.no_memory(py, key),
        }
    }

    /// What came for `key` is lost, and no gap in a stream goes unseen.
    #[cold]
    fn no_memory(&self, py: Python<'_>, key: Key) -> PyResult<()> {
        self.failed(py, key, Box::new(Failure::Os(no_memory())))
    }

    /// Bytes came in, into a room of ours.
    pub fn filled(&self, py: Python<'_>, key: Key, owner: Owner, count: usize) -> PyResult<()> {
        self.event_loop.hub.inbox.memory.taken(count);
        let data = match self.event_loop.buffers.received(py, owner, count) {
            Ok(Some(data)) => data,
            Ok(None) => return Ok(()),
            Err(_) => return self.no_memory(py, key),
        };
        match self.socket(py, key) {
            Some(socket) => self.arrived(&socket, data),
            None => Ok(()),
        }
    }

    #[inline(always)]
    fn arrived<'py>(&self, socket: &Bound<'py, Socket>, data: Bound<'py, PyBytes>) -> PyResult<()> {
        let way = {
            let mut state = socket.get().state.lock();
            if state.holds_back() {
                if state.upgrading {
                    drop(state);
                    return self.keep_for_upgrade(socket, &data);
                }
                state
                    .undelivered
                    .push_back(Undelivered::Data(data.unbind()));
                return Ok(());
            }
            Way::of(socket.py(), &state)
        };
        self.deliver(socket, data, way)
    }

    #[cold]
    fn keep_for_upgrade(
        &self,
        socket: &Bound<'_, Socket>,
        data: &Bound<'_, PyBytes>,
    ) -> PyResult<()> {
        let (me, bytes) = (socket.get(), data.as_bytes());
        let kept = me.keep_for_upgrade(bytes);
        let memory = &self.event_loop.hub.inbox.memory;
        memory.delivered(&me.link, bytes.len());
        match kept {
            Ok(()) => Ok(()),
            Err(_) => self.no_memory(socket.py(), me.link.key),
        }
    }

    /// `read_cb(socket, data)`.
    pub(crate) fn deliver<'py>(
        &self,
        socket: &Bound<'py, Socket>,
        data: Bound<'py, PyBytes>,
        way: Way,
    ) -> PyResult<()> {
        let me = socket.get();
        let count = data.as_bytes().len();
        self.event_loop.hub.inbox.memory.delivered(&me.link, count);
        add(&self.event_loop.totals.bytes_read, count);
        let called = match way {
            Way::Streams => self.feed(socket, &data),
            Way::Callback(callback) => self.read_cb(socket, callback, data.into_any()),
        };
        me.link.note_delivered(&self.event_loop.hub);
        called
    }

    #[inline(always)]
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
            Which::Read,
            Whose::Socket(socket),
        )
    }

    /// The bytes go to the socket's streams; the app reads them from there.
    fn feed<'py>(&self, socket: &Bound<'py, Socket>, data: &Bound<'py, PyBytes>) -> PyResult<()> {
        let py = socket.py();
        let streams = streams::live(socket);
        for stream in &streams {
            call(&stream.getattr(intern!(py, "_feed"))?, (data,))?;
        }
        match streams.into_iter().next() {
            Some(first) => {
                let callback = own(socket, |callbacks| &callbacks.read);
                self.read_cb(socket, callback, first)
            }
            None => Ok(()),
        }
    }

    /// All that was written is with the kernel.
    pub fn flushed(&self, py: Python<'_>, key: Key) -> PyResult<()> {
        let Some(socket) = self.socket(py, key) else {
            return Ok(());
        };
        let socket = &socket;
        if !socket.get().link.may_tell_flushed() {
            // More was written since, or writing is disabled: a later flush will be told.
            return Ok(());
        }
        let Some(callback) = own(socket, |callbacks| &callbacks.write) else {
            return Ok(());
        };
        self.call(
            callback.bind(py),
            (socket,),
            Which::Write,
            Whose::Socket(socket),
        )
    }

    /// `TcpBufferFull` and `TcpBufferDrained`, by turns.
    pub fn level(&self, py: Python<'_>, key: Key) -> PyResult<()> {
        let Some(socket) = self.socket(py, key) else {
            return Ok(());
        };
        let socket = &socket;
        let class = if socket.get().link.next_level_is_full() {
            "TcpBufferFull"
        } else {
            "TcpBufferDrained"
        };
        self.tell(socket, true, || condition::info(class, socket))
    }

    /// End of stream.
    pub fn eof(&self, py: Python<'_>, key: Key) -> PyResult<()> {
        let Some(socket) = self.socket(py, key) else {
            return Ok(());
        };
        let socket = &socket;
        if is_held_back(socket, || Undelivered::Eof) {
            return Ok(());
        }
        self.deliver_eof(socket)
    }

    /// The app learns of the end of stream.
    pub fn deliver_eof(&self, socket: &Bound<'_, Socket>) -> PyResult<()> {
        let me = socket.get();
        me.step(Step::PeerEnds);
        let half_open = me.state.lock().half_open;
        if half_open {
            let ended = end_streams(socket);
            let told = self.tell(socket, true, || condition::info("TcpEof", socket));
            ended.and(told)
        } else {
            self.end(socket, Reason::Eof, true, false)
        }
    }

    /// The connection or the attempt failed.
    pub fn failed(&self, py: Python<'_>, key: Key, failure: Box<Failure>) -> PyResult<()> {
        let socket = match self.sink(py, key) {
            Some(Sink::Socket(socket)) => socket,
            Some(Sink::Server(server)) => return self.accept_failed(&server, &failure),
            Some(Sink::Lookup(lookup)) => return self.lookup_failed(&lookup, &failure),
            Some(Sink::Poller(poller)) => return self.poller_failed(&poller, &failure),
            None => return Ok(()),
        };
        {
            let mut state = socket.get().state.lock();
            let was_met = state.extras().is_some_and(|extras| extras.write_failed);
            let at_once = was_met || matches!(*failure, Failure::Sending(_)) && !state.reading;
            if !state.undelivered.is_empty() && !at_once {
                state.undelivered.push_back(Undelivered::Failed(failure));
                return Ok(());
            }
        }
        self.deliver_failure(&socket, failure)
    }

    /// The app learns why the connection ended.
    pub fn deliver_failure(
        &self,
        socket: &Bound<'_, Socket>,
        failure: Box<Failure>,
    ) -> PyResult<()> {
        self.end(socket, Reason::Failed(failure.into()), false, true)
    }

    /// A server's accept failed.
    pub fn accept_failed(&self, server: &Bound<'_, TcpServer>, failure: &Failure) -> PyResult<()> {
        let condition = TcpServer::accept_error(server, failure)?;
        self.tell_other(server.get().event_cb(server.py()), &condition)
    }

    /// A server has refused a connection.
    pub fn refused(&self, py: Python<'_>, key: Key, refused: &Refused) -> PyResult<()> {
        let Some(Sink::Server(server)) = self.sink(py, key) else {
            return Ok(());
        };
        let condition = condition::refusal(py, refused)?;
        self.tell_other(server.get().event_cb(py), &condition)
    }

    fn lookup_failed(&self, lookup: &Bound<'_, Lookup>, failure: &Failure) -> PyResult<()> {
        let py = lookup.py();
        let condition = condition::lookup_failure(py, failure)?;
        let event_cb = lookup.get().event_cb.as_ref();
        self.tell_other(event_cb.map(|own| own.clone_ref(py)), &condition)
    }

    /// A task ended.
    pub fn gone(&self, py: Python<'_>, key: Key) {
        self.event_loop.task_ended(key);
        match self.sink(py, key) {
            Some(Sink::Server(server)) => server.get().gone(py),
            Some(Sink::Lookup(_) | Sink::Poller(_)) => {}
            // A socket stays until its end was delivered.
            Some(Sink::Socket(socket)) if !socket.get().was_closed() => return,
            Some(Sink::Socket(_)) => {}
            None => return,
        }
        drop(self.event_loop.remove(key));
    }

    /// A lookup has its answer.
    pub fn found(&self, py: Python<'_>, key: Key, found: Found) -> PyResult<()> {
        let Some(Sink::Lookup(lookup)) = self.sink(py, key) else {
            return Ok(());
        };
        let which = match found {
            Found::Addresses(_) => Which::Lookup,
            Found::Name(..) => Which::ReverseLookup,
        };
        self.call(
            lookup.get().callback.bind(py),
            lookup::arguments(found),
            which,
            Whose::Other(lookup.get().event_cb.as_ref()),
        )
    }

    /// A read or write timeout, unless the app changed its mind since.
    pub fn timed_out(
        &self,
        py: Python<'_>,
        key: Key,
        epoch: u32,
        timeout: Timeout,
    ) -> PyResult<()> {
        let Some(socket) = self.socket(py, key) else {
            return Ok(());
        };
        let socket = &socket;
        let link = &socket.get().link;
        if link.epoch() != epoch {
            return Ok(());
        }
        if !timeout.holds(link) {
            // It came while Python was held up; it is delivered next.
            link.restart_timeouts(&self.event_loop.hub);
            return Ok(());
        }
        let failure = timeout.failure();
        let force = matches!(failure, Failure::Stalled(_));
        self.end(socket, Reason::Failed(failure.into()), false, force)
    }
}

/// Where received bytes go.
pub(crate) enum Way {
    /// To the socket's streams.
    Streams,
    /// To its `read_cb`.
    Callback(Option<Py<PyAny>>),
}

impl Way {
    /// As the socket's state says.
    pub(crate) fn of(py: Python<'_>, state: &State) -> Self {
        if state.keeps {
            return Self::Streams;
        }
        let callback = state.callbacks.read.as_ref();
        Self::Callback(callback.map(|callback| callback.clone_ref(py)))
    }
}

/// Holds back what comes, where that is to be.
fn is_held_back(socket: &Bound<'_, Socket>, undelivered: impl FnOnce() -> Undelivered) -> bool {
    let mut state = socket.get().state.lock();
    // A session on its way takes what comes, but the app does not read.
    let holds = state.holds_back() && !(state.upgrading && state.reading);
    if holds {
        state.undelivered.push_back(undelivered());
    }
    holds
}

/// Nothing more comes: what the streams hold is all there will be.
fn end_streams(socket: &Bound<'_, Socket>) -> PyResult<()> {
    let end = intern!(socket.py(), "_end");
    let streams = streams::live(socket);
    let ended = streams
        .iter()
        .map(|stream| call(&stream.getattr(end)?, ()).map(drop));
    // Each, whatever the one before raised.
    ended.fold(Ok(()), PyResult::and)
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
