//! From Python's bytes to what waits to be sent.

use crate::boundary::condition;
use crate::io::conn::loan::LARGE;
use crate::io::conn::outcome::Staged;
use crate::io::counter::add;
use crate::socket::object::Socket;
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

impl Socket {
    /// `write` after its arguments were checked. `bytes` are of `owner`, if that is some.
    #[inline(always)]
    pub fn stage(
        slf: &Bound<'_, Self>,
        bytes: &[u8],
        owner: Option<&Bound<'_, PyBytes>>,
    ) -> PyResult<()> {
        let socket = slf.get();
        let staged = match owner {
            Some(owner) if bytes.len() >= LARGE => {
                let loan = socket.event_loop.buffers.lend(owner, bytes)?;
                socket.link.stage_loan(loan)
            }
            _ => socket.link.stage(bytes),
        };
        let list = match staged {
            Staged::Shut => return Err(condition::write_is_shut(slf)),
            Staged::NoMemory => return Err(PyMemoryError::new_err("no memory for the data")),
            // Its condition is on the way to the event_cb, or waits behind held data: this write meets it.
            Staged::Broken => {
                let holds = {
                    let mut state = socket.state.lock();
                    state.extras_mut().write_failed = true;
                    !state.undelivered.is_empty()
                };
                if holds {
                    let failed = slf.clone().into_any().unbind();
                    socket
                        .event_loop
                        .post(|posts| posts.failed_writes.push_back(failed));
                }
                return Ok(());
            }
            Staged::Yes { list } => list,
        };
        add(&socket.event_loop.totals.bytes_written, bytes.len());
        if list {
            socket.event_loop.flush_later(&socket.link);
        }
        Ok(())
    }
}
