//! What one stream holds of received bytes, as it counts against the loop's memory limit and holds up reading.
//!
//! Each stream's buffer owns one and tells it what comes and goes; when the buffer is let go, all is given back.

use crate::io::conn::link::Link;
use crate::shared::loop_state::{Life, LoopState};
use pyo3::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// See the module's page. Used with the interpreter's lock held.
#[pyclass(frozen, module = "asynctcp._core")]
pub struct Reservation {
    event_loop: Arc<LoopState>,
    link: Arc<Link>,
    bytes: AtomicUsize,
    pauses: AtomicBool,
}

impl Reservation {
    /// Of nothing.
    pub fn new(event_loop: Arc<LoopState>, link: Arc<Link>) -> Self {
        Self {
            event_loop,
            link,
            bytes: AtomicUsize::new(0),
            pauses: AtomicBool::new(false),
        }
    }

    fn release(&self, bytes: usize) {
        if self.event_loop.life() != Life::Ended && !self.event_loop.is_forked() {
            self.event_loop
                .hub
                .inbox
                .memory
                .left_stream(&self.link, bytes);
            self.event_loop.nudge();
        }
    }

    fn set_pause(&self, on: bool) {
        let changed = self.pauses.swap(on, Ordering::SeqCst) != on;
        if changed && self.event_loop.life() != Life::Ended && !self.event_loop.is_forked() {
            self.link.pause_for_stream(&self.event_loop.hub, on);
            self.event_loop.nudge();
        }
    }
}

#[pymethods]
impl Reservation {
    /// The stream holds `count` bytes more.
    fn grow(&self, count: usize) {
        self.bytes.fetch_add(count, Ordering::SeqCst);
        self.event_loop
            .hub
            .inbox
            .memory
            .entered_stream(&self.link, count);
    }

    /// The app took `count` bytes.
    fn shrink(&self, count: usize) {
        self.bytes.fetch_sub(count, Ordering::SeqCst);
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
        let bytes = self.bytes.swap(0, Ordering::SeqCst);
        if bytes > 0 {
            self.release(bytes);
        }
    }
}
