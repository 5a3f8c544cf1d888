//! What came while the app did not read: kept, and delivered in order when it reads again.

use crate::socket::object::Socket;
use crate::socket::phase::Phase;
use crate::socket::undelivered::{Held, Undelivered};
use crate::turn::dispatcher::Dispatcher;
use crate::turn::socket_events::Way;
use pyo3::prelude::*;

impl Dispatcher<'_> {
    /// A write met a failure that waits behind held data: it is told at once.
    pub fn write_failed(&self, socket: &Bound<'_, Socket>) -> PyResult<()> {
        let failure = {
            let mut state = socket.get().state.lock();
            let undelivered = std::mem::take(&mut state.undelivered);
            let (mut failed, others): (Held, Held) = undelivered
                .into_iter()
                .partition(|undelivered| matches!(undelivered, Undelivered::Failed(_)));
            state.undelivered = others;
            failed.pop_front()
        };
        match failure {
            Some(Undelivered::Failed(failure)) => self.deliver_failure(socket, failure),
            _ => Ok(()),
        }
    }

    /// The app reads again: what was held is delivered in order, until it stops reading or is done.
    pub fn resume(&self, socket: &Bound<'_, Socket>) -> PyResult<()> {
        let delivered = self.deliver_held(socket);
        if delivered.is_err() {
            // A foreign loop goes on after an exception, and then with the rest.
            let rest = socket.clone().into_any().unbind();
            self.event_loop.post(|posts| posts.resumed.push_back(rest));
        }
        delivered
    }

    fn deliver_held(&self, socket: &Bound<'_, Socket>) -> PyResult<()> {
        loop {
            let undelivered = {
                let mut state = socket.get().state.lock();
                if !state.reading || state.phase == Phase::Closed {
                    return Ok(());
                }
                state.undelivered.pop_front()
            };
            if self.event_loop.is_exiting() {
                return Ok(());
            }
            match undelivered {
                None => return Ok(()),
                Some(Undelivered::Data(data)) => {
                    let way = Way::of(socket.py(), &socket.get().state.lock());
                    self.deliver(socket, data.into_bound(socket.py()), way)?;
                }
                Some(Undelivered::Eof) => self.deliver_eof(socket)?,
                Some(Undelivered::Failed(failure)) => self.deliver_failure(socket, failure)?,
            }
        }
    }
}
