//! What is sent leaves when the callbacks of the turn have run, at once where none runs or where it is much.

use crate::aio::data::bytes_of;
use crate::aio::datagram::address::parsed;
use crate::aio::datagram::flush::{flush, pause_protocol};
use crate::aio::datagram::object::{Datagram, DatagramTransport, To};
use crate::aio::datagram::rules::{rules, size_of};
use crate::aio::transport::write::{WARN_FROM, warn};
use crate::aio::watched::Watched;
use crate::boundary::memory;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::sync::atomic::Ordering::Relaxed;

/// So many are sent at once, although the turn is not over.
const MANY: usize = 256;

/// `transport.sendto(data, addr)`.
pub(crate) fn send(
    slf: &Bound<'_, DatagramTransport>,
    data: &Bound<'_, PyAny>,
    addr: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let data = bytes_of(data, |name| {
        format!("data argument must be a bytes-like object, not '{name}'")
    })?;
    if data.as_bytes().is_empty() && !rules(py).sends_empty {
        return Ok(());
    }
    let own = me.objects.held(py, |objects| &objects.address);
    if let Some(own) = &own {
        if let Some(addr) = addr
            && !addr.eq(own)?
        {
            let message = format!("Invalid address: must be None or {own}");
            return Err(PyValueError::new_err(message));
        }
        let lost = me.flow.with(py, |flow| {
            flow.lost += u32::from(flow.lost > 0);
            flow.lost
        });
        if lost > 0 {
            return if lost > WARN_FROM { warn(py) } else { Ok(()) };
        }
    }
    let to = match own.as_ref().or(addr) {
        _ if me.is_connected => To::Peer,
        Some(address) => parsed(me.family, address),
        None => To::Object(py.None()),
    };
    let datagram = Datagram {
        data: data.unbind(),
        to,
    };
    let size = size_of(py, &datagram);
    // What is not kept is dropped here, and not where no code of Python's may run.
    let mut datagram = Some(datagram);
    let kept = me.flow.with(py, |flow| {
        flow.outgoing.try_reserve(1)?;
        flow.size += size;
        flow.outgoing.extend(datagram.take());
        Ok(())
    });
    kept.map_err(memory::error)?;
    send_soon(slf, size)
}

fn send_soon(slf: &Bound<'_, DatagramTransport>, size: usize) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let Some(event_loop) = me.event_loop(py) else {
        return flush(slf);
    };
    let state = &event_loop.get().state;
    let (waits, much) = me.flow.with(py, |flow| {
        let much = flow.size > flow.high_water || flow.outgoing.len() >= MANY;
        (flow.is_blocked || flow.is_flushing, much)
    });
    if waits {
        return pause_protocol(slf);
    }
    if much || !state.calling.load(Relaxed) {
        return flush(slf);
    }
    let dirty = me
        .flow
        .with(py, |flow| std::mem::replace(&mut flow.is_dirty, true));
    if dirty {
        state.unsent.note(size);
    } else {
        state.unsent.push(py, slf.clone().into_any().unbind(), size);
    }
    Ok(())
}
