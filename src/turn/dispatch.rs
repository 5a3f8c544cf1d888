//! From a batch of events to callbacks, and what happens when a callback raises.

use crate::boundary::call::call;
use crate::boundary::condition;
use crate::event_loop::state::{Core, Entry};
use crate::io::conn::loan::Owner;
use crate::io::counter::add;
use crate::io::event::Timeout;
use crate::io::failure::Failure;
use crate::io::hub::Key;
use crate::io::setup::listener::Listener;
use crate::io::setup::resolve::Found;
use crate::io::sync::Mutex;
use crate::objects::lookup;
use crate::objects::server::TcpServer;
use crate::socket::Socket;
use crate::socket::ending;
use crate::socket::ending::{Closing, Reason};
use crate::socket::options;
use crate::socket::phase::{Life, Step};
use crate::socket::state::{Callbacks, Held, State};
use crate::socket::streams;
use crate::turn::app_error::{Catch, Which, Whose};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;
use std::collections::VecDeque;

/// Replaces the default event handler; None: the library's own, which ignores what is no error.
static DEFAULT_HANDLER: Mutex<Option<Py<PyAny>>> = Mutex::new(None);
static LIBRARY_HANDLER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Sets what is called where an `event_cb` is None; None: the library's own handler again.
pub fn set_default_handler(handler: Option<Py<PyAny>>) {
    let old = std::mem::replace(&mut *DEFAULT_HANDLER.lock(), handler);
    drop(old);
}

/// What stands for an `event_cb` of None. None: the library's handler, which ignores `ignorable` conditions.
fn default_handler(py: Python<'_>, ignorable: bool) -> PyResult<Option<Bound<'_, PyAny>>> {
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
    let library = LIBRARY_HANDLER.import(py, "asynctcp._handlers", "default_event_handler")?;
    Ok(Some(library.clone()))
}

/// Calls callbacks of one loop; see `app_error.rs` for their exceptions.
pub struct Dispatcher<'a> {
    /// The loop.
    pub core: &'a Core,
    /// What to do with exceptions.
    pub catch: &'a Catch,
}

impl Dispatcher<'_> {
    /// `event_cb(condition)` of `socket`. `ignorable`: the library's own handler does nothing with it.
    fn tell<'py>(
        &self,
        socket: &Bound<'py, Socket>,
        ignorable: bool,
        condition: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let py = socket.py();
        let default = default_handler(py, ignorable)?;
        let nobody = default.is_none() && socket.get().event_cb(py).is_none();
        if nobody || socket.get().is_closed() {
            return Ok(());
        }
        let condition = condition()?;
        // Last of all: while Python made the condition, another thread may have closed the socket.
        if socket.get().is_closed() {
            return Ok(());
        }
        let own = socket.get().event_cb(py);
        match own.map(|own| own.into_bound(py)).or(default) {
            Some(handler) => self.call(&handler, (condition,), Which::Event, Whose::Socket(socket)),
            None => Ok(()),
        }
    }

    /// `event_cb(condition)` of a server or a lookup.
    fn tell_other<'py>(
        &self,
        event_cb: Option<Py<PyAny>>,
        condition: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        let py = condition.py();
        let handler = match event_cb {
            Some(event_cb) => Some(event_cb.into_bound(py)),
            None => default_handler(py, false)?,
        };
        match handler {
            Some(handler) => self.call(&handler, (condition,), Which::Event, Whose::Other(None)),
            None => Ok(()),
        }
    }

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
        let reason = closing.reason(py)?;
        let socket = closing.socket.bind(py);
        self.call(
            closing.close_cb.bind(py),
            (socket, reason),
            Which::Close,
            Whose::Socket(socket),
        )
    }

    /// A new connection.
    pub fn accepted(
        &self,
        py: Python<'_>,
        listener: &Listener,
        link: std::sync::Arc<crate::io::conn::link::Link>,
    ) -> PyResult<()> {
        listener.served(&self.core.hub);
        let Some(Entry::Server(server)) = self.core.entry(py, listener.key) else {
            // The server's end was seen before; nobody can serve this connection.
            link.close(&self.core.hub, true);
            return Ok(());
        };
        match TcpServer::welcome(server.bind(py), link.clone()) {
            Ok(socket) => self.connect_cb(socket.bind(py)),
            Err(error) => {
                // Nobody knows of the connection, and a foreign loop goes on.
                link.close(&self.core.hub, true);
                Err(error)
            }
        }
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
        match options::grant(socket.get()) {
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
        socket.get().link.hear(&self.core.hub);
        called
    }

    /// Bytes came in.
    pub fn data<'py>(&self, py: Python<'py>, key: Key, data: Bound<'py, PyBytes>) -> PyResult<()> {
        self.core.hub.taken(data.as_bytes().len());
        let Some(socket) = self.core.socket(py, key) else {
            return Ok(());
        };
        self.arrived(socket.bind(py), data)
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
        add(&self.core.totals.bytes_read, count);
        let called = match way {
            Way::Streams => self.feed(socket, &data),
            Way::Callback(callback) => self.read_cb(socket, callback, data.into_any()),
        };
        me.link.hear(&self.core.hub);
        called
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
            Which::Write,
            Whose::Socket(socket),
        )
    }

    /// `TcpBufferFull` and `TcpBufferDrained`, by turns.
    pub fn level(&self, py: Python<'_>, key: Key) -> PyResult<()> {
        let Some(socket) = self.core.socket(py, key) else {
            return Ok(());
        };
        let socket = socket.bind(py);
        let class = if socket.get().link.next_level_is_full() {
            "TcpBufferFull"
        } else {
            "TcpBufferDrained"
        };
        self.tell(socket, true, || condition::info(class, socket))
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
        let socket = match self.core.entry(py, key) {
            Some(Entry::Socket(socket)) => socket,
            Some(Entry::Server(server)) => return self.accept_failed(server.bind(py), &failure),
            Some(Entry::Lookup(lookup)) => {
                let condition = condition::lookup_failure(py, &failure)?;
                let event_cb = lookup.event_cb.as_ref();
                return self.tell_other(event_cb.map(|own| own.clone_ref(py)), &condition);
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
        self.deliver_failure(socket, failure)
    }

    fn deliver_failure(&self, socket: &Bound<'_, Socket>, failure: Box<Failure>) -> PyResult<()> {
        self.end(socket, Reason::Failed(failure.into()), false, true)
    }

    /// A server's accept failed.
    pub fn accept_failed(&self, server: &Bound<'_, TcpServer>, failure: &Failure) -> PyResult<()> {
        let condition = TcpServer::accept_error(server, failure)?;
        self.tell_other(server.get().event_cb(server.py()), &condition)
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
        let which = match found {
            Found::Addresses(_) => Which::Lookup,
            Found::Name(..) => Which::ReverseLookup,
        };
        self.call(
            lookup.callback.bind(py),
            lookup::arguments(found),
            which,
            Whose::Other(lookup.event_cb.as_ref()),
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
        let Some(socket) = self.core.socket(py, key) else {
            return Ok(());
        };
        let socket = socket.bind(py);
        let link = &socket.get().link;
        if link.epoch() != epoch {
            return Ok(());
        }
        if !timeout.holds(link) {
            // It came while Python was held up; it is delivered next.
            link.retime(&self.core.hub);
            return Ok(());
        }
        let failure = timeout.failure();
        let force = matches!(failure, Failure::Stalled(_));
        self.end(socket, Reason::Failed(failure.into()), false, force)
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
            Some(Held::Failed(failure)) => self.deliver_failure(socket, failure),
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
                Some(Held::Failed(failure)) => self.deliver_failure(socket, failure)?,
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
