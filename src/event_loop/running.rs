//! What runs a loop between its begin and its end.

use crate::event_loop::wakeup::Wakeup;
use crate::io::runtime::bell::Bell;
use crate::io::sys::platform::epoll::Selector;
use crate::shared::loop_state::LoopState;
use crate::turn::foreign::Foreign;
use crate::turn::policy::Policy;
use crate::turn::pump::Pump;
use pyo3::prelude::*;
use std::sync::Arc;

/// What a begun loop has until its end. Taken out of the loop's object while it takes turns.
pub struct Running {
    state: Arc<LoopState>,
    /// None: stopped.
    pub(crate) pump: Option<Pump>,
    /// Of a loop that runs in the main thread by itself.
    pub(crate) wakeup: Option<Wakeup>,
    /// Of a loop that a foreign loop drives.
    pub(crate) foreign: Option<Foreign>,
}

impl Running {
    /// Starts what runs it.
    pub fn start(
        py: Python<'_>,
        state: &Arc<LoopState>,
        io_threads: usize,
        policy: Policy,
        host: Option<Arc<Selector>>,
    ) -> PyResult<Self> {
        let mut running = Self {
            state: state.clone(),
            pump: None,
            wakeup: None,
            foreign: None,
        };
        let bell = if policy.rings {
            Some(Arc::new(Bell::new()?))
        } else {
            None
        };
        running.pump = Some(Pump::start(state, io_threads, policy, host)?);
        running.foreign = bell.map(Foreign::new);
        if policy.owns_thread {
            running.wakeup = Wakeup::open(py, state)?;
        }
        Ok(running)
    }

    /// Ends it.
    pub fn stop(&mut self, py: Python<'_>) {
        let Some(pump) = self.pump.take() else {
            return;
        };
        if self.state.is_forked() {
            // The parent's: its threads are not in this process, which shares its epoll.
            std::mem::forget((pump, self.foreign.take(), self.state.clone()));
            return;
        }
        py.detach(|| {
            pump.stop();
            self.state.hub.inbox.forget_untold();
        });
        self.state.buffers.close(self.state.hub.inbox.rooms.close());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        Python::attach(|py| {
            if let Some(wakeup) = self.wakeup.take() {
                drop(wakeup.close(py, &self.state));
            }
            self.stop(py);
        });
    }
}
