//! The `TcpServer` that Python sees.

use crate::boundary::address::{address_object, address_text};
use crate::boundary::args::{self, refusal::wrong_type};
use crate::boundary::condition;
use crate::boundary::tls_context::server_of;
use crate::io::conn::link::Link;
use crate::io::failure::Failure;
use crate::io::setup::listener::Listener;
use crate::io::setup::listening::Listening;
use crate::io::sync::Mutex;
use crate::io::sys::address::Address;
use crate::shared::loop_state::LoopState;
use crate::shared::posts::{Post, Posted};
use crate::socket::object::{Origin, Socket};
use crate::socket::state::{Callbacks, Settings};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A listening server: what `tcp_server` and `pipe_server` return.
#[pyclass(frozen, weakref, module = "asynctcp")]
pub struct TcpServer {
    event_loop: Arc<LoopState>,
    listener: Arc<Listener>,
    /// At least one.
    addresses: Vec<Address>,
    closed: AtomicBool,
    /// How many of its sockets are open.
    open: Arc<AtomicUsize>,
    /// For each connection; let go when the accept loop has ended.
    callbacks: Mutex<Callbacks>,
    /// Who waits for that.
    waiting: Mutex<Option<Py<PyAny>>>,
    settings: Settings,
}

impl TcpServer {
    /// The socket of a new connection, in the loop's table.
    pub fn welcome(slf: &Bound<'_, Self>, link: Arc<Link>) -> PyResult<Py<Socket>> {
        let (py, server) = (slf.py(), slf.get());
        let callbacks = server.callbacks.lock().clone_ref(py);
        let key = link.key;
        let origin = Origin {
            server: slf.clone().into_any().unbind(),
            open: server.open.clone(),
        };
        let socket = Socket::make(
            py,
            server.event_loop.clone(),
            link,
            callbacks,
            server.settings,
            Some(origin),
        )?;
        server.open.fetch_add(1, Ordering::SeqCst);
        let object = socket.clone_ref(py).into_any();
        server.event_loop.table.insert(key, object);
        Ok(socket)
    }

    /// Where its conditions go.
    pub fn event_cb(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.callbacks
            .lock()
            .event
            .as_ref()
            .map(|callback| callback.clone_ref(py))
    }

    /// The condition of an accept that failed.
    pub fn accept_error<'py>(
        slf: &Bound<'py, Self>,
        failure: &Failure,
    ) -> PyResult<Bound<'py, PyAny>> {
        let server = slf.clone().into_any().unbind();
        condition::accept_error(slf.py(), failure, server.clone_ref(slf.py()), server)
    }

    /// Nothing more comes of it: all that it has accepted is announced, or the loop ends. Who is to be told.
    #[must_use]
    pub fn end(&self) -> Option<Py<PyAny>> {
        self.stop();
        let dropped = std::mem::take(&mut *self.callbacks.lock());
        drop(dropped);
        self.waiting.lock().take()
    }

    /// Its last task has ended.
    pub fn gone(&self, py: Python<'_>) {
        if let Some(function) = self.end() {
            let call = Post {
                function: Posted::Function(function),
                arguments: PyTuple::empty(py).unbind(),
                event_cb: None,
            };
            self.event_loop.post(|posts| posts.calls.push_back(call));
        }
    }

    fn stop(&self) {
        if !self.event_loop.is_forked() && !self.closed.swap(true, Ordering::SeqCst) {
            self.listener.close(&self.event_loop.hub);
            self.event_loop.nudge();
        }
    }
}

impl TcpServer {
    /// Begins to listen. `bind_address`: what the app said, for the error.
    pub fn listen(
        event_loop: &Arc<LoopState>,
        bind_address: &Bound<'_, PyAny>,
        listening: Listening,
        callbacks: Callbacks,
        settings: Settings,
    ) -> PyResult<Py<Self>> {
        let py = bind_address.py();
        let (port, fd) = (listening.place.port(), listening.fd);
        let key = event_loop.hub.keys.new_key();
        let started = py.detach(|| listening.start(&event_loop.hub, key));
        let (listener, addresses) = started.map_err(|failure| {
            event_loop.hub.keys.free_key(key);
            condition::bind_error(py, &failure, bind_address, port, fd)
        })?;
        let server = Self {
            event_loop: event_loop.clone(),
            listener,
            addresses,
            closed: AtomicBool::new(false),
            open: Arc::default(),
            callbacks: Mutex::new(callbacks),
            waiting: Mutex::default(),
            settings,
        };
        let server = Py::new(py, server)?;
        let object = server.clone_ref(py).into_any();
        event_loop.table.insert(key, object);
        event_loop.nudge();
        if let Err(error) = event_loop.remember(server.bind(py)) {
            server.get().stop();
            return Err(error);
        }
        Ok(server)
    }
}

#[pymethods]
impl TcpServer {
    /// Stops listening at once; existing connections live on. Closing it again does nothing. Callable from any
    /// thread. Raises `EventLoopError` in a forked child. cl-async: `close-tcp-server`.
    pub fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.event_loop.check_process(py)?;
        self.stop();
        Ok(())
    }

    /// New connections use `config`, a `TlsConfig.server(...)`; existing ones go on as they are. Callable from any thread.
    ///
    /// Raises `ValueError` if the server was made without TLS, `TypeError`, `EventLoopError` in a forked child.
    fn reload_tls(&self, config: &Bound<'_, PyAny>) -> PyResult<()> {
        self.event_loop.check_process(config.py())?;
        let wrong = || wrong_type("config", "a TlsConfig.server(...)", config);
        let config = server_of("config", Some(config))?.ok_or_else(wrong)?;
        if self.listener.reload_tls(config) {
            Ok(())
        } else {
            Err(PyValueError::new_err("the server was made without TLS"))
        }
    }

    /// Whether it stopped listening.
    #[getter]
    fn closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// The first address that it listens (or listened) on, as `getsockname()` gives it.
    #[getter]
    fn address<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        address_object(py, &self.addresses[0])
    }

    /// All addresses that it listens (or listened) on, as `getsockname()` gives them: of a name those of both families, IPv4
    /// first. The port is the same.
    #[getter]
    fn addresses<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let addresses = self.addresses.iter();
        addresses
            .map(|address| address_object(py, address))
            .collect()
    }

    /// The host of the first address, to connect to; kept after closing. A pipe's is its path.
    #[getter]
    fn host<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.addresses[0] {
            Address::Ip(address) => Ok(address_text(address).into_pyobject(py)?.into_any()),
            name => address_object(py, name),
        }
    }

    /// The port; kept after closing. A pipe's is 0.
    #[getter]
    fn port(&self) -> u16 {
        self.addresses[0].ip().map_or(0, |address| address.port())
    }

    /// A list of its sockets that are open now.
    #[getter]
    fn sockets(slf: &Bound<'_, Self>) -> PyResult<Vec<Py<Socket>>> {
        let event_loop = &slf.get().event_loop;
        event_loop.check_process(slf.py())?;
        let mut sockets = Vec::new();
        event_loop.table.each(slf.py(), |object| {
            if let Ok(socket) = object.cast::<Socket>()
                && socket.get().is_of(slf)
                && !socket.get().was_closed()
            {
                sockets.push(socket.clone().unbind());
            }
        });
        Ok(sockets)
    }

    /// `with tcp_server(…) as server:` closes it when the block ends. In a forked child that raises `EventLoopError`, unless
    /// the block raised.
    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __exit__(
        &self,
        kind: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.stop();
        if kind.is_none() {
            return self.event_loop.check_process(kind.py());
        }
        Ok(())
    }

    /// How many of its connections are open now. Those that still wait for a PROXY header or a TLS handshake count, too.
    #[getter]
    fn connections(&self) -> usize {
        self.open.load(Ordering::SeqCst) + self.listener.unknown()
    }

    /// How many of them still wait for that, or to be told to Python.
    fn _unknown(&self) -> usize {
        self.listener.unknown()
    }

    /// Has `fn()` called in the loop once it is closed and all that it has accepted is known or gone, at the latest as the
    /// loop's exit callback.
    fn _when_ended(&self, r#fn: &Bound<'_, PyAny>) -> PyResult<()> {
        let function = args::required_callback("fn", r#fn)?;
        let replaced = self.waiting.lock().replace(function);
        drop(replaced);
        Ok(())
    }

    fn __repr__(&self) -> String {
        let state = if self.closed() { "closed" } else { "listening" };
        let addresses: Vec<_> = self.addresses.iter().map(Address::to_string).collect();
        format!(
            "<asynctcp.TcpServer {state} {} connections={}>",
            addresses.join(" "),
            self.connections()
        )
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        if let Some(callbacks) = self.callbacks.try_lock() {
            callbacks.visit(&visit)?;
        }
        match self.waiting.try_lock() {
            Some(waiting) => visit.call(&*waiting),
            None => Ok(()),
        }
    }

    fn __clear__(&self) {
        let callbacks = std::mem::take(&mut *self.callbacks.lock());
        let waiting = self.waiting.lock().take();
        drop((callbacks, waiting));
    }
}
