//! What Python calls.

use crate::aio::context;
use crate::aio::datagram::end;
use crate::aio::datagram::flush::{flush, pause_protocol};
use crate::aio::datagram::object::{DatagramTransport, Flow, Objects};
use crate::aio::datagram::read;
use crate::aio::datagram::send;
use crate::aio::gil::Gil;
use crate::aio::object::NativeLoop;
use crate::aio::socket_number::SocketNumber;
use crate::aio::transport::limits;
use crate::aio::transport::object::HIGH_WATER;
use crate::aio::watched::{Parties, Watched};
use crate::io::sys::platform::RawFd;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::collections::VecDeque;

#[pymethods]
impl DatagramTransport {
    #[new]
    fn new(
        event_loop: &Bound<'_, NativeLoop>,
        socket: &Bound<'_, PyAny>,
        protocol: &Bound<'_, PyAny>,
        extra: &Bound<'_, PyDict>,
        address: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let py = event_loop.py();
        let peer = extra.get_item("peername")?;
        let address = address.is_truthy()?.then(|| address.clone().unbind());
        Ok(Self {
            number: SocketNumber::of(socket)?,
            family: socket.getattr(intern!(py, "family"))?.extract()?,
            is_connected: peer.map_or(Ok(false), |peer| peer.is_truthy())?,
            objects: Gil::new(Objects {
                parties: Parties::new(event_loop, socket, protocol, context::copy(py)?),
                extra: Some(extra.clone().unbind()),
                address,
                sender: None,
                held: VecDeque::new(),
            }),
            flow: Gil::new(Flow::default()),
        })
    }

    /// The loop tells it of events from now on, and it reads.
    fn _start_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        if slf.get().flow.with(slf.py(), |flow| flow.reads()) {
            slf.get().register(slf, |wanted| wanted.readable = true)
        } else {
            Ok(())
        }
    }

    /// What the selector said is done; asyncio's debug mode calls it, to see how long it takes.
    fn _on_ready(slf: &Bound<'_, Self>) -> PyResult<()> {
        read::on_ready(slf)
    }

    /// Send `data` (bytes, bytearray or memoryview) to `addr`, or to the peer. It leaves when the running callback returns.
    #[pyo3(signature = (data, addr=None))]
    fn sendto(
        slf: &Bound<'_, Self>,
        data: &Bound<'_, PyAny>,
        addr: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        send::send(slf, data, addr)
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
        slf.get()
            .flow
            .with(slf.py(), |flow| flow.watch.is_paused |= !flow.is_closing);
        // The selector is told when something comes: for most go on before.
        slf.get().keep(slf)
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
        Self::deliver_soon(slf);
        Self::_start_reading(slf)
    }

    /// Bytes that wait to be sent, as asyncio counts them.
    fn get_write_buffer_size(slf: &Bound<'_, Self>) -> PyResult<usize> {
        flush(slf)?;
        Ok(slf.get()._unsent(slf.py()))
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
        let (low, high) = limits::checked(py, high, low, HIGH_WATER)?;
        me.flow.with(py, |flow| {
            (flow.low_water, flow.high_water) = (low, high);
        });
        flush(slf)?;
        pause_protocol(slf)
    }

    #[getter]
    fn _extra<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyDict>> {
        self.objects.held(py, |objects| &objects.extra)
    }

    /// From now on `protocol` is called.
    fn set_protocol(&self, protocol: &Bound<'_, PyAny>) {
        let new = protocol.clone().unbind();
        let old = self.objects.with(protocol.py(), |objects| {
            objects.parties.protocol.replace(new)
        });
        drop(old);
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
    fn _address<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.objects.held(py, |objects| &objects.address)
    }

    #[getter]
    fn _conn_lost(&self, py: Python<'_>) -> u32 {
        self.flow.with(py, |flow| flow.lost)
    }

    /// Whether the selector tells of what comes, and of when the kernel takes more.
    fn _registered(&self, py: Python<'_>) -> (bool, bool) {
        self.flow.with(py, |flow| {
            (
                flow.watch.registered.readable,
                flow.watch.registered.writable,
            )
        })
    }

    /// Bytes that wait to be sent; nothing is tried.
    fn _unsent(&self, py: Python<'_>) -> usize {
        self.flow.with(py, |flow| flow.size)
    }

    fn __traverse__(&self, visit: pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        let visited = self.objects.try_with(|objects| {
            objects.parties.traverse(&visit)?;
            visit.call(&objects.extra)?;
            visit.call(&objects.address)?;
            let mut held = objects.held.iter();
            held.try_for_each(|(bytes, from)| {
                visit.call(bytes)?;
                visit.call(from)
            })
        });
        visited.unwrap_or(Ok(()))
    }

    fn __clear__(&self) {
        Python::attach(|py| {
            drop(self.objects.with(py, |objects| {
                (
                    objects.parties.take(),
                    objects.extra.take(),
                    std::mem::take(&mut objects.held),
                )
            }));
        });
    }
}
