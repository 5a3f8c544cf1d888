//! Receiving: what the turn does with a connection that is ready.

use crate::aio::transport::end;
use crate::aio::transport::fatal::fatal;
use crate::aio::transport::object::StreamTransport;
use crate::aio::transport::writable::on_writable;
use crate::io::failure::Failure;
use crate::io::sys::transfer;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::io::ErrorKind;

/// [`on_ready`] in the transport's context.
pub(crate) fn in_context(slf: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let context = me.objects.with(py, |objects| {
        objects
            .context
            .as_ref()
            .map(|context| context.clone_ref(py))
    });
    let Some(context) = context else {
        return Ok(());
    };
    // SAFETY: it is a context, which this keeps; what is entered is left.
    if unsafe { ffi::PyContext_Enter(context.as_ptr()) } < 0 {
        return Err(PyErr::fetch(py));
    }
    let result = on_ready(slf);
    // SAFETY: see above. It was entered here, so it can be left.
    unsafe { ffi::PyContext_Exit(context.as_ptr()) };
    result
}

/// Called for what the selector has said.
pub(crate) fn on_ready(slf: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let ready = me.flow.with(py, |flow| std::mem::take(&mut flow.ready));
    if ready.writable && me.flow.with(py, |flow| flow.is_blocked && flow.lost == 0) {
        on_writable(slf)?;
    }
    if !ready.readable {
        return Ok(());
    }
    let (lost, reads) = me.flow.with(py, |flow| (flow.lost > 0, flow.reads()));
    if lost {
        return Ok(());
    }
    if !reads {
        // Only now, for most that pause go on before anything comes.
        return me.stop_reading(py);
    }
    if me.flow.with(py, |flow| flow.is_buffered) {
        receive_into_buffer(slf)
    } else {
        receive(slf)
    }
}

fn receive(slf: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let (Some(socket), Some(event_loop)) = (me.descriptor(py), me.event_loop(py)) else {
        return Ok(());
    };
    let state = &event_loop.get().state;
    let mut buffer = state.take_buffer(py);
    let received = transfer::receive(&socket, &mut buffer);
    let data = match received {
        Ok(count) if count > 0 => Some(PyBytes::new(py, &buffer[..count])),
        _ => None,
    };
    state.put_buffer(py, buffer);
    match (received, data) {
        (Ok(_), Some(data)) => {
            let Some(protocol) = me.protocol(py) else {
                return Ok(());
            };
            let result = protocol.call_method1(intern!(py, "data_received"), (data,));
            or_fatal(
                slf,
                result,
                "Fatal error: protocol.data_received() call failed.",
            )
            .map(drop)
        }
        (Ok(_), None) => at_end(slf),
        (Err(error), _) => failed(slf, Failure::Os(error)),
    }
}

fn failed(slf: &Bound<'_, StreamTransport>, failure: Failure) -> PyResult<()> {
    match failure {
        // There was nothing: the selector will say when there is.
        Failure::Os(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
        failure => fatal(slf, failure.into(), "Fatal read error on socket transport"),
    }
}

fn receive_into_buffer(slf: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let Some(protocol) = me.protocol(py) else {
        return Ok(());
    };
    let buffer = protocol
        .call_method1(intern!(py, "get_buffer"), (-1,))
        .and_then(|buffer| PyBuffer::<u8>::get(&buffer))
        .and_then(|buffer| {
            if buffer.readonly() || !buffer.is_c_contiguous() {
                return Err(PyTypeError::new_err(
                    "get_buffer() returned a buffer that cannot be written to",
                ));
            }
            if buffer.len_bytes() == 0 {
                return Err(PyRuntimeError::new_err(
                    "get_buffer() returned an empty buffer",
                ));
            }
            Ok(buffer)
        });
    let Some(buffer) = or_fatal(
        slf,
        buffer,
        "Fatal error: protocol.get_buffer() call failed.",
    )?
    else {
        return Ok(());
    };
    let Some(socket) = me.descriptor(py) else {
        return Ok(());
    };
    // SAFETY: the export keeps the bytes where they are and this long; nobody else looks at them, for no Python code runs meanwhile.
    let bytes = unsafe {
        std::slice::from_raw_parts_mut(buffer.buf_ptr().cast::<u8>(), buffer.len_bytes())
    };
    let received = transfer::receive(&socket, bytes);
    drop(buffer);
    match received {
        Ok(0) => at_end(slf),
        Ok(count) => {
            let result = protocol.call_method1(intern!(py, "buffer_updated"), (count,));
            or_fatal(
                slf,
                result,
                "Fatal error: protocol.buffer_updated() call failed.",
            )
            .map(drop)
        }
        Err(error) => failed(slf, Failure::Os(error)),
    }
}

/// The peer has ended.
fn at_end(slf: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let Some(protocol) = me.protocol(py) else {
        return Ok(());
    };
    let keep = protocol
        .call_method0(intern!(py, "eof_received"))
        .and_then(|keep| keep.is_truthy());
    let Some(keep) = or_fatal(
        slf,
        keep,
        "Fatal error: protocol.eof_received() call failed.",
    )?
    else {
        return Ok(());
    };
    if !keep {
        return end::close(slf);
    }
    me.flow.with(py, |flow| flow.has_ended = true);
    me.stop_reading(py)
}

/// An exception ends the connection; those that end a program go on.
fn or_fatal<R>(
    slf: &Bound<'_, StreamTransport>,
    result: PyResult<R>,
    message: &str,
) -> PyResult<Option<R>> {
    match result {
        Ok(result) => Ok(Some(result)),
        Err(error) => fatal(slf, error, message).map(|()| None),
    }
}
