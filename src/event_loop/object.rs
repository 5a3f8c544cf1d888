//! The fields of the native half of `asynctcp.EventLoop`. What Python calls is in `event_loop.rs`.

use crate::event_loop::running::Running;
use crate::io::runtime::bell::Bell;
use crate::io::sync::Mutex;
use crate::shared::loop_state::LoopState;
use crate::turn::app_error::Catch;
use crate::turn::policy::Policy;
use pyo3::prelude::*;
use std::sync::{Arc, OnceLock};

/// See `asynctcp.EventLoop`, which derives from it.
#[pyclass(
    frozen,
    subclass,
    weakref,
    name = "LoopCore",
    module = "asynctcp._core"
)]
pub struct EventLoop {
    pub(crate) state: Arc<LoopState>,
    pub(crate) catch: Catch,
    pub(crate) io_threads: usize,
    /// What a foreign loop watches; open as long as this object, which that loop may still watch after the end.
    pub(crate) bell: OnceLock<Arc<Bell>>,
    /// How it was begun.
    pub(crate) policy: OnceLock<Policy>,
    /// Taken out while it takes turns, so that a turn within a turn finds nothing.
    pub(crate) running: Mutex<Option<Box<Running>>>,
}

impl EventLoop {
    /// In debug mode: a callback begins, or ends.
    pub fn tick(&self) {
        if let Some(beat) = self.state.beat() {
            beat.tick();
        }
    }

    /// Whether it was begun, to be driven by another loop.
    pub fn is_driven(&self) -> bool {
        self.policy.get().is_some_and(|policy| !policy.owns_thread)
    }

    /// Whether that is an asyncio loop of ours, in whose thread alone it can be ended.
    pub fn is_hosted(&self) -> bool {
        self.is_driven() && self.policy.get().is_some_and(|policy| !policy.rings)
    }
}
