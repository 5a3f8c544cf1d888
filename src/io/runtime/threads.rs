//! The runtime with threads of its own, where they may not all be had.

use crate::io::failure::Failure;
use crate::io::runtime::wake_order::WakeOrder;
use crate::io::sync::{AtomicBool, Mutex, Ordering};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, RwLock};
use tokio::runtime::{Builder, Handle, Runtime};

/// The runtime's own threads, if it has any.
#[derive(Default)]
pub(crate) struct Threads {
    any: AtomicBool,
    /// The runtime, whether it has any or not. Leaf lock.
    runtime: Mutex<Option<Handle>>,
    /// Of the tasks that they poll.
    pub(crate) order: Arc<WakeOrder>,
}

impl Threads {
    /// `runtime` has some.
    pub(crate) fn set_threaded_runtime(&self, runtime: Handle) {
        self.order.start(&runtime);
        self.set_runtime(runtime);
        self.any.store(true, Ordering::Relaxed);
    }

    /// `runtime` is the loop's, be it with threads of its own or without.
    pub(crate) fn set_runtime(&self, runtime: Handle) {
        *self.runtime.lock() = Some(runtime);
    }

    /// Whether there are any.
    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// Their runtime, until the loop has ended.
    pub(crate) fn runtime_if_threaded(&self) -> Option<Handle> {
        if self.any() { self.runtime() } else { None }
    }

    /// The runtime, until the loop has ended.
    pub(crate) fn runtime(&self) -> Option<Handle> {
        self.runtime.lock().clone()
    }

    /// The loop has ended.
    pub(crate) fn forget(&self) {
        let runtime = self.runtime.lock().take();
        drop(runtime);
        self.order.end();
    }
}

/// Builds a runtime of `count` threads. Tokio panics where one cannot be started, and waits for ever for those that
/// could: so it is tried first.
pub fn build(builder: &mut Builder, count: usize) -> Result<Runtime, Failure> {
    can_start(count).map_err(|_| Failure::NoThread)?;
    // Others of the process may have started some since.
    let built = catch_unwind(AssertUnwindSafe(|| builder.build()));
    Ok(built.map_err(|_| Failure::NoThread)??)
}

/// Has so many threads at the same time, for a moment.
fn can_start(count: usize) -> io::Result<()> {
    let gate = Arc::new(RwLock::new(()));
    let shut = gate.write();
    let mut started = Vec::with_capacity(count);
    let mut failed = Ok(());
    for _ in 0..count {
        let gate = gate.clone();
        match std::thread::Builder::new().spawn(move || drop(gate.read())) {
            Ok(thread) => started.push(thread),
            Err(error) => {
                failed = Err(error);
                break;
            }
        }
    }
    drop(shut);
    for thread in started {
        // It does nothing that could panic.
        let _ = thread.join();
    }
    failed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_of_some_threads_is_built() {
        let runtime = build(&mut Builder::new_multi_thread(), 3).unwrap();
        assert_eq!(runtime.block_on(async { 7 }), 7);
    }
}
