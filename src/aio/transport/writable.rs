//! What is done when the kernel takes more.

use crate::aio::fatal::fatal;
use crate::aio::futures::settle;
use crate::aio::tls::object::TlsTransport;
use crate::aio::tls::outgoing as tls;
use crate::aio::transport::end;
use crate::aio::transport::flush::{flush, resume_protocol, shut_down};
use crate::aio::transport::object::{Receiver, StreamTransport};
use crate::aio::transport::outgoing::Sent;
use crate::aio::watched::Watched;
use crate::io::failure::Failure;
use pyo3::prelude::*;

/// The kernel takes more.
pub(crate) fn on_writable(slf: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    let Some(socket) = me.descriptor(py) else {
        return Ok(());
    };
    match me.flow.with(py, |flow| flow.send(py, socket)) {
        Sent::Failed(error) => {
            me.flow.with(py, |flow| flow.outgoing.clear());
            let error = PyErr::from(Failure::Os(error));
            tell_waiter(me, py, Err(&error))?;
            return fatal(slf, error, "Fatal write error on socket transport");
        }
        Sent::Some => return resume_protocol(slf),
        Sent::All => {}
    }
    me.flow.with(py, |flow| flow.is_blocked = false);
    slf.get().register(slf, |wanted| wanted.writable = false)?;
    // It may write more, which goes before what is to follow on the end.
    resume_protocol(slf)?;
    seal_more(slf)?;
    flush(slf)?;
    if !me.flow.with(py, |flow| flow.outgoing.is_empty()) {
        return Ok(());
    }
    tell_waiter(me, py, Ok(()))?;
    let (closing, eof) = me
        .flow
        .with(py, |flow| (flow.is_closing && flow.lost == 0, flow.eof));
    if closing {
        me.flow.with(py, |flow| flow.lost += 1);
        end::lose(slf, None)
    } else if eof {
        shut_down(slf)
    } else {
        Ok(())
    }
}

/// TLS seals no more than the kernel takes.
fn seal_more(slf: &Bound<'_, StreamTransport>) -> PyResult<()> {
    let (py, me) = (slf.py(), slf.get());
    if me.flow.with(py, |flow| flow.receiver) != Receiver::Tls {
        return Ok(());
    }
    match me.protocol(py) {
        Some(protocol) => tls::go_on(protocol.cast::<TlsTransport>()?),
        None => Ok(()),
    }
}

fn tell_waiter(me: &StreamTransport, py: Python<'_>, outcome: Result<(), &PyErr>) -> PyResult<()> {
    let waiter = me.objects.held(py, |objects| &objects.empty_waiter);
    waiter.map_or(Ok(()), |waiter| settle(&waiter, outcome))
}
