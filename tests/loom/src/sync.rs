//! `src/io/sync.rs` with loom's types under the same names.

use loom::sync::MutexGuard;
use loom::sync::atomic::fence;
use std::future::poll_fn;
pub use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};

/// Loom's mutex: it is never poisoned in a model, as a panic ends the model.
#[derive(Debug, Default)]
pub struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// Wraps `value`.
    pub fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    /// Waits for the lock.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().expect("a panic ends the model")
    }

    /// Takes the lock if it is free.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok()
    }
}

/// Tokio's, as one task that waits needs it: a call without anybody who waits is kept for the next who does.
#[derive(Debug, Default)]
pub struct Notify(Mutex<Call>);

#[derive(Debug, Default)]
struct Call {
    kept: bool,
    waker: Option<Waker>,
}

impl Notify {
    /// As in Tokio.
    pub fn notify_one(&self) {
        let mut call = self.0.lock();
        call.kept = true;
        let waker = call.waker.take();
        drop(call);
        waker.into_iter().for_each(Waker::wake);
    }

    /// As in Tokio.
    pub async fn notified(&self) {
        poll_fn(|context| {
            let mut call = self.0.lock();
            if std::mem::take(&mut call.kept) {
                return Poll::Ready(());
            }
            call.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// Loom takes SeqCst accesses for AcqRel ones, which lets two threads miss each other's store where the language
/// forbids it. It knows SeqCst fences, so such an access gets one on either side.
fn ordered<R>(order: Ordering, access: impl FnOnce() -> R) -> R {
    if order != Ordering::SeqCst {
        return access();
    }
    fence(Ordering::SeqCst);
    let result = access();
    fence(Ordering::SeqCst);
    result
}

macro_rules! atomic {
    ($name:ident, $of:ty, $($add:ident),*) => {
        /// Loom's, with SeqCst taken seriously.
        #[derive(Debug, Default)]
        pub struct $name(loom::sync::atomic::$name);

        impl $name {
            /// Holds `value`.
            pub fn new(value: $of) -> Self {
                Self(loom::sync::atomic::$name::new(value))
            }

            /// As in `std`.
            pub fn load(&self, order: Ordering) -> $of {
                ordered(order, || self.0.load(order))
            }

            /// As in `std`.
            pub fn store(&self, value: $of, order: Ordering) {
                ordered(order, || self.0.store(value, order));
            }

            /// As in `std`.
            pub fn swap(&self, value: $of, order: Ordering) -> $of {
                ordered(order, || self.0.swap(value, order))
            }

            /// As in `std`.
            pub fn compare_exchange(
                &self,
                from: $of,
                to: $of,
                order: Ordering,
                failure: Ordering,
            ) -> Result<$of, $of> {
                ordered(order, || self.0.compare_exchange(from, to, order, failure))
            }

            $(
                /// As in `std`.
                pub fn $add(&self, value: $of, order: Ordering) -> $of {
                    ordered(order, || self.0.$add(value, order))
                }
            )*
        }
    };
}

atomic!(AtomicBool, bool,);
atomic!(AtomicU64, u64, fetch_add, fetch_sub);
atomic!(AtomicUsize, usize, fetch_add, fetch_sub);
