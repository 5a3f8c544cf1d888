//! What Python calls.

use crate::aio::context;
use crate::aio::gil::Gil;
use crate::aio::object::NativeLoop;
use crate::aio::socket_number::SocketNumber;
use crate::aio::tls::outgoing::hand_over;
use crate::aio::transport::debug;
use crate::aio::transport::end;
use crate::aio::transport::extra::{self, Extra};
use crate::aio::transport::flush::{flush, pause_protocol, shut_down};
use crate::aio::transport::limits;
use crate::aio::transport::object::{Flow, HIGH_WATER, Objects, StreamTransport};
use crate::aio::transport::read;
use crate::aio::transport::receiver::{receiver_of, tls_over};
use crate::aio::transport::write;
use crate::aio::watched::{Parties, Watched};
use crate::boundary::call::Method;
use crate::io::sys::platform::RawFd;
use crate::io::sys::platform::epoll::Interest;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

#[pymethods]
impl StreamTransport {
    /// `context`: that of all calls of the protocol, from CPython 3.15 on; None: the caller's, but for the last one.
    #[new]
    #[pyo3(signature = (event_loop, socket, protocol, extra, server, context=None))]
    fn new(
        event_loop: &Bound<'_, NativeLoop>,
        socket: &Bound<'_, PyAny>,
        protocol: &Bound<'_, PyAny>,
        extra: Option<&Bound<'_, PyDict>>,
        server: Option<Py<PyAny>>,
        context: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let py = event_loop.py();
        let context_was_given = context.is_some();
        let context = match context {
            Some(context) => context.unbind(),
            None => context::copy(py)?,
        };
        let number = SocketNumber::of(socket)?;
        if number.get() < 0 {
            return Err(PyValueError::new_err("the socket is closed"));
        }
        let descriptor = number.descriptor(socket.as_unbound());
        Ok(Self {
            number,
            objects: Gil::new(Objects {
                parties: Parties::new(event_loop, socket, protocol, context),
                server,
                closed_socket: None,
                extra: Extra::of(event_loop, socket, descriptor, extra)?,
                context_was_given,
                empty_waiter: None,
            }),
            flow: Gil::new(Flow::new(receiver_of(protocol)?)),
        })
    }

    /// The loop tells it of events from now on, and it reads.
    fn _start_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::start_reading(slf)
    }

    /// What the selector said is done; asyncio's debug mode calls it, to see how long it takes.
    fn _on_ready(slf: &Bound<'_, Self>) -> PyResult<()> {
        read::on_ready(slf)
    }

    /// Send `data` (bytes, bytearray or memoryview). It leaves when the running callback returns.
    fn write(slf: &Bound<'_, Self>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        write::write(slf, data)
    }

    /// Send each of them.
    fn writelines(slf: &Bound<'_, Self>, list_of_data: &Bound<'_, PyAny>) -> PyResult<()> {
        write::write_lines(slf, list_of_data)
    }

    /// End the sending side when all is sent.
    fn write_eof(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, me) = (slf.py(), slf.get());
        let has_ended = || me.flow.with(py, |flow| flow.is_closing || flow.eof);
        if let Some(tls) = tls_over(me, py).filter(|_| !has_ended()) {
            hand_over(&tls)?;
        }
        if has_ended() {
            return Ok(());
        }
        me.flow.with(py, |flow| flow.eof = true);
        flush(slf)?;
        if me
            .flow
            .with(py, |flow| flow.outgoing.is_empty() && flow.lost == 0)
        {
            shut_down(slf)?;
        }
        Ok(())
    }

    /// True.
    fn can_write_eof(&self) -> bool {
        true
    }

    /// Close it when all is sent.
    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        end::close(slf)
    }

    /// Close it at once.
    fn abort(slf: &Bound<'_, Self>) -> PyResult<()> {
        end::force_close(slf, None)
    }

    #[pyo3(signature = (exc=None))]
    fn _force_close(slf: &Bound<'_, Self>, exc: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        end::force_close(slf, exc)
    }

    #[pyo3(signature = (exc=None))]
    fn _call_connection_lost(slf: &Bound<'_, Self>, exc: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        end::lose(slf, exc)
    }

    /// Whether it is closing or closed.
    fn is_closing(&self, py: Python<'_>) -> bool {
        self.flow.with(py, |flow| flow.is_closing)
    }

    /// Whether what comes goes to the protocol.
    fn is_reading(&self, py: Python<'_>) -> bool {
        self.flow
            .with(py, |flow| !flow.is_closing && !flow.watch.is_paused)
    }

    /// Nothing goes to the protocol until `resume_reading()`.
    fn pause_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        let paused = slf.get().flow.with(slf.py(), |flow| {
            let was_paused = flow.watch.is_paused;
            flow.watch.is_paused |= !flow.is_closing;
            flow.watch.is_paused && !was_paused
        });
        // The selector is told when something comes: for most go on before.
        slf.get().keep(slf)?;
        if paused {
            debug::log(slf, "pauses reading")
        } else {
            Ok(())
        }
    }

    /// What comes goes to the protocol again.
    fn resume_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, me) = (slf.py(), slf.get());
        let was_paused = me.flow.with(py, |flow| {
            !flow.is_closing && std::mem::replace(&mut flow.watch.is_paused, false)
        });
        if !was_paused {
            return Ok(());
        }
        me.go_on_in_callers_context(py)?;
        Self::start_reading(slf)?;
        debug::log(slf, "resumes reading")
    }

    /// Bytes that wait to be sent.
    fn get_write_buffer_size(slf: &Bound<'_, Self>) -> PyResult<usize> {
        flush(slf)?;
        Ok(slf.get().flow.with(slf.py(), |flow| flow.outgoing.len()))
    }

    /// The low and the high-water mark, in bytes.
    fn get_write_buffer_limits(&self, py: Python<'_>) -> (usize, usize) {
        self.flow.with(py, |flow| (flow.low_water, flow.high_water))
    }

    /// The protocol is told to pause writing above `high` bytes, and to go on below `low`.
    #[pyo3(signature = (high=None, low=None))]
    fn set_write_buffer_limits(
        slf: &Bound<'_, Self>,
        high: Option<&Bound<'_, PyAny>>,
        low: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let (py, me) = (slf.py(), slf.get());
        let (low_water, high_water) = limits::checked(py, high, low, HIGH_WATER)?;
        me.flow.with(py, |flow| {
            (flow.high_water, flow.low_water) = (high_water, low_water)
        });
        if me.flow.with(py, |flow| flow.outgoing.len() > high_water) {
            flush(slf)?;
        }
        pause_protocol(slf)
    }

    #[getter]
    fn _extra<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        let (py, me) = (slf.py(), slf.get());
        let (ends, socket) = me.objects.with(py, |objects| {
            let socket = objects
                .parties
                .socket
                .as_ref()
                .or(objects.closed_socket.as_ref());
            let socket = socket.map(|socket| socket.clone_ref(py));
            match &objects.extra {
                Extra::Made(made) => (Err(made.clone_ref(py)), None),
                Extra::Ends { local, peer } => (Ok((*local, *peer)), socket),
            }
        });
        let made = match (ends, socket) {
            (Err(made), _) => return Ok(made.into_bound(py)),
            (Ok((local, peer)), Some(socket)) => {
                extra::make(me.event_loop(py), socket.bind(py), local, peer)?
            }
            (Ok(_), None) => PyDict::new(py),
        };
        let kept = Extra::Made(made.clone().unbind());
        me.objects.with(py, |objects| objects.extra = kept);
        Ok(made)
    }

    /// From now on `protocol` is called.
    fn set_protocol(&self, protocol: &Bound<'_, PyAny>) -> PyResult<()> {
        let (py, receiver) = (protocol.py(), receiver_of(protocol)?);
        let new = protocol.clone().unbind();
        let old = self
            .objects
            .with(py, |objects| objects.parties.protocol.replace(new));
        self.flow.with(py, |flow| flow.receiver = receiver);
        drop(old);
        Ok(())
    }

    /// The protocol.
    fn get_protocol<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.protocol(py)
    }

    #[getter]
    fn _protocol<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.protocol(py)
    }

    #[getter]
    fn _loop<'py>(&self, py: Python<'py>) -> Option<Bound<'py, NativeLoop>> {
        self.event_loop(py)
    }

    #[getter]
    fn _sock<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.held(py, |parties| &parties.socket)
    }

    #[getter]
    fn _sock_fd(&self) -> RawFd {
        self.number.get()
    }

    #[getter]
    fn _paused(&self, py: Python<'_>) -> bool {
        self.flow.with(py, |flow| flow.watch.is_paused)
    }

    #[getter]
    fn _closing(&self, py: Python<'_>) -> bool {
        self.flow.with(py, |flow| flow.is_closing)
    }

    #[getter]
    fn _eof(&self, py: Python<'_>) -> bool {
        self.flow.with(py, |flow| flow.eof)
    }

    #[getter]
    fn _conn_lost(&self, py: Python<'_>) -> u32 {
        self.flow.with(py, |flow| flow.lost)
    }

    /// Whether the selector tells of what comes, and of when the kernel takes more.
    fn _registered(&self, py: Python<'_>) -> (bool, bool) {
        self.flow.with(py, |flow| {
            (
                flow.watch.registered.readable && !flow.watch.is_paused,
                flow.watch.registered.writable,
            )
        })
    }

    /// Bytes that wait to be sent; nothing is tried.
    fn _unsent(&self, py: Python<'_>) -> usize {
        self.flow.with(py, |flow| flow.outgoing.len())
    }

    /// A future that is done when all is sent; until it is reset nothing can be written.
    fn _make_empty_waiter<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let (py, me) = (slf.py(), slf.get());
        if me
            .objects
            .with(py, |objects| objects.empty_waiter.is_some())
        {
            return Err(PyRuntimeError::new_err("Empty waiter is already set"));
        }
        let Some(event_loop) = me.event_loop(py) else {
            return Err(PyRuntimeError::new_err("the transport is closed"));
        };
        flush(slf)?;
        let waiter = event_loop.method("create_future", ())?;
        let kept = waiter.clone().unbind();
        me.objects
            .with(py, |objects| objects.empty_waiter = Some(kept));
        if me.flow.with(py, |flow| flow.outgoing.is_empty()) {
            waiter.method("set_result", (py.None(),))?;
        }
        Ok(waiter)
    }

    /// Nobody has it any more, and it waits for nothing. The server that is to be told, unless the loop is closed; once.
    fn _collected<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        slf.get().register(slf, |wanted| *wanted = Interest::NONE)?;
        let event_loop = slf.get().event_loop(slf.py());
        let is_open = event_loop.is_some_and(|event_loop| event_loop.get().state.is_open());
        Ok(Self::_take_server(slf).filter(|_| is_open))
    }

    /// The server that is to be told of its end; once.
    fn _take_server<'py>(slf: &Bound<'py, Self>) -> Option<Bound<'py, PyAny>> {
        let (py, me) = (slf.py(), slf.get());
        let server = me.objects.with(py, |objects| objects.server.take());
        server.map(|server| server.into_bound(py))
    }

    fn _reset_empty_waiter(&self, py: Python<'_>) {
        drop(self.objects.with(py, |objects| objects.empty_waiter.take()));
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        let visited = self.objects.try_with(|objects| {
            objects.parties.traverse(&visit)?;
            visit.call(&objects.closed_socket)?;
            visit.call(&objects.server)?;
            if let Extra::Made(extra) = &objects.extra {
                visit.call(extra)?;
            }
            visit.call(&objects.empty_waiter)
        });
        visited.unwrap_or(Ok(()))
    }

    fn __clear__(&self) {
        Python::attach(|py| {
            drop(self.objects.with(py, |objects| {
                (
                    objects.parties.take(),
                    objects.server.take(),
                    objects.empty_waiter.take(),
                )
            }));
        });
    }
}
