//! What Python's tests see of `io/sys/faults.rs`. Only with the feature `fault-injection`.

use crate::io::sys::faults::{Odds, follow};
use pyo3::prelude::*;

/// From now on the calls that send and receive fail at these odds (in 10,000 calls); without any, no more.
#[pyfunction]
#[pyo3(signature = (seed=1, *, short=0, again=0, interrupted=0, reset=0, broken_pipe=0, no_buffers=0, panic=0))]
#[allow(clippy::too_many_arguments)]
pub fn _inject(
    seed: u64,
    short: u32,
    again: u32,
    interrupted: u32,
    reset: u32,
    broken_pipe: u32,
    no_buffers: u32,
    panic: u32,
) {
    let odds = Odds {
        short,
        again,
        interrupted,
        reset,
        broken_pipe,
        no_buffers,
        panic,
    };
    // Until the next call, or the process's end.
    std::mem::forget(follow(seed, odds));
}
