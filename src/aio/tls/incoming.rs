//! Receiving: what the turn does with a connection that is ready.

use crate::aio::state::State;
use crate::aio::tls::machine;
use crate::aio::tls::object::{Phase, TlsTransport};
use crate::aio::tls::outcome::{Received, Stopped};
use crate::aio::transport::object::Receiver;
use pyo3::prelude::*;
use std::os::fd::BorrowedFd;

/// One system call, and what follows from it; 0: the peer has ended. The inner result: what the protocol raised.
pub(crate) fn receive(
    slf: &Bound<'_, TlsTransport>,
    socket: &BorrowedFd<'_>,
    state: &State,
) -> Result<(usize, PyResult<()>), Stopped> {
    let (py, me) = (slf.py(), slf.get());
    let opens = me.flow.with(py, |flow| {
        flow.phase == Phase::Wrapped && !flow.app_is_paused && flow.receiver != Receiver::Buffer
    });
    let received = {
        let _locked = me.session_lock.enter(py);
        me.session.receive(py, socket, state, opens)
    };
    let Received { count, read } = received?;
    if count == 0 {
        return Ok((0, Ok(())));
    }
    let done = match read {
        Some(read) => machine::deliver(slf, read),
        None => machine::step(slf),
    };
    Ok((count, done))
}
