//! What one stream holds of received bytes, as it counts against the loop's memory limit and holds up reading.
//!
//! Each stream's buffer owns one and tells it what comes and goes; when the buffer is let go, all is given back.

use crate::event_loop::state::{Core, Life};
use crate::io::conn::link::Link;
use pyo3::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// See the module's page. Used with the interpreter's lock held.
#[pyclass(frozen, module = "asynctcp._core")]
pub struct Reservation {
    core: Arc<Core>,
    link: Arc<Link>,
    held: AtomicUsize,
    pauses: AtomicBool,
}

impl Reservation {
    /// Of nothing.
    pub fn new(core: Arc<Core>, link: Arc<Link>) -> Self {
        Self {
            core,
            link,
            held: AtomicUsize::new(0),
            pauses: AtomicBool::new(false),
        }
    }

    fn release(&self, bytes: usize) {
        if self.core.life() != Life::Ended && !self.core.is_forked() {
            self.core.hub.released(&self.link, bytes);
            self.core.nudge();
        }
    }

    fn set_pause(&self, on: bool) {
        let changed = self.pauses.swap(on, Ordering::SeqCst) != on;
        if changed && self.core.life() != Life::Ended && !self.core.is_forked() {
            self.link.pause_for_stream(&self.core.hub, on);
            self.core.nudge();
        }
    }
}

#[pymethods]
impl Reservation {
    /// The stream holds `count` bytes more.
    fn grow(&self, count: usize) {
        self.held.fetch_add(count, Ordering::SeqCst);
        self.core.hub.held(&self.link, count);
    }

    /// The app took `count` bytes.
    fn shrink(&self, count: usize) {
        self.held.fetch_sub(count, Ordering::SeqCst);
        self.release(count);
    }

    /// The stream holds enough: its socket reads no more.
    fn pause(&self) {
        self.set_pause(true);
    }

    /// It has room again. Reading goes on when all streams over the socket have.
    fn resume(&self) {
        self.set_pause(false);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.set_pause(false);
        let held = self.held.swap(0, Ordering::SeqCst);
        if held > 0 {
            self.release(held);
        }
    }
}
