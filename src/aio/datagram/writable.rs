//! What is done when the kernel takes more.

use crate::aio::datagram::end::lose;
use crate::aio::datagram::flush::flush;
use crate::aio::datagram::object::DatagramTransport;
use crate::aio::watched::Watched;
use pyo3::prelude::*;

/// The kernel takes more, or something was left for this turn.
pub(crate) fn on_writable(slf: &Bound<'_, DatagramTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    me.flow.with(py, |flow| flow.is_blocked = false);
    flush(slf)?;
    resume_protocol(slf)?;
    // It may have sent more.
    flush(slf)?;
    if me.flow.with(py, |flow| flow.is_blocked) {
        return Ok(());
    }
    slf.get().register(slf, |wanted| wanted.writable = false)?;
    let closing = me.flow.with(py, |flow| {
        let closing = flow.is_closing && flow.lost == 0 && flow.outgoing.is_empty();
        flow.lost += u32::from(closing);
        closing
    });
    if closing { lose(slf, None) } else { Ok(()) }
}

/// Little enough waits: the protocol is told, once.
fn resume_protocol(slf: &Bound<'_, DatagramTransport>) -> PyResult<()> {
    let due = slf.get().flow.with(slf.py(), |flow| {
        let due = flow.protocol_is_paused && flow.size <= flow.low_water;
        flow.protocol_is_paused &= !due;
        due
    });
    if due {
        DatagramTransport::tell_protocol(slf, "resume_writing")
    } else {
        Ok(())
    }
}
