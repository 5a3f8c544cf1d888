//! Who drives the Tokio runtime: the pump while it idles, the helper thread while Python is busy.
//!
//! One word says where the pump is, with a number that grows each time it leaves the runtime:
//!
//! ```text
//!            leave                    take_over (after the grace time, same turn)
//! INSIDE(n) ───────→ AWAY(n+1) ──────────────────────────────────→ HELPER(n+1)
//!     ↑                │  enter                                        │ enter: recalls the helper
//!     └────────────────┴───────────────────────────────────────────────┘
//! ```
//!
//! The recall is a state and no permit: the helper registers its waker and then looks whether the word still says
//! that it drives, so a recall that came first is seen and an old one cannot end a later drive.

use crate::io::sync::{AtomicU64, Mutex, Ordering};
use std::task::{Context, Poll, Waker};

const INSIDE: u64 = 0;
const AWAY: u64 = 1;
const HELPER: u64 = 2;
const WHO: u64 = 3;
const TURN: u64 = 4;

/// The word and the helper's waker.
pub struct Handover {
    word: AtomicU64,
    /// Leaf lock. Set by the helper while it drives, taken by whoever wakes it.
    helper: Mutex<Option<Waker>>,
}

impl Default for Handover {
    fn default() -> Self {
        Self {
            word: AtomicU64::new(AWAY),
            helper: Mutex::new(None),
        }
    }
}

impl Handover {
    /// The word as it is now; the helper compares it with an earlier one.
    pub fn observe(&self) -> u64 {
        self.word.load(Ordering::SeqCst)
    }

    /// Whether `word` says that the pump is out of the runtime and nobody drives.
    pub fn is_away(word: u64) -> bool {
        word & WHO == AWAY
    }

    /// How many turns lie between two words.
    pub fn turns_between(earlier: u64, later: u64) -> u64 {
        later / TURN - earlier / TURN
    }

    /// The pump left the runtime.
    pub fn leave(&self) -> u64 {
        // Only the pump moves the word from INSIDE, so a plain store cannot lose a change of the helper's.
        let next = (self.word.load(Ordering::Relaxed) & !WHO) + TURN + AWAY;
        self.word.store(next, Ordering::SeqCst);
        next
    }

    /// The pump wants to drive: from now on the helper must not, and is told so if it does.
    pub fn enter(&self) {
        let mut word = self.word.load(Ordering::SeqCst);
        // The helper may move AWAY to HELPER in between.
        while let Err(now) = self.word.compare_exchange(
            word,
            word & !WHO | INSIDE,
            Ordering::SeqCst,
            Ordering::SeqCst,
        ) {
            word = now;
        }
        if word & WHO == HELPER {
            self.wake_helper();
        }
    }

    /// The helper's step: true if the pump is away since `seen` and the helper drives from now on.
    pub fn take_over(&self, seen: u64) -> bool {
        Self::is_away(seen)
            && self
                .word
                .compare_exchange(
                    seen,
                    seen & !WHO | HELPER,
                    Ordering::SeqCst,
                    Ordering::SeqCst,
                )
                .is_ok()
    }

    /// Ready once the helper shall stop driving; registers its waker first, then looks.
    pub fn poll_recalled(&self, context: &mut Context<'_>) -> Poll<()> {
        *self.helper.lock() = Some(context.waker().clone());
        if self.helper_drives() {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }

    /// Whether the pump is in the runtime.
    pub fn is_inside(&self) -> bool {
        self.word.load(Ordering::SeqCst) & WHO == INSIDE
    }

    /// Whether the helper drives.
    pub fn helper_drives(&self) -> bool {
        self.word.load(Ordering::SeqCst) & WHO == HELPER
    }

    /// Lets go of the helper's waker, when the loop has ended: it holds the runtime.
    pub fn forget_helper(&self) {
        let waker = self.helper.lock().take();
        drop(waker);
    }

    /// Lets the helper's root look again: it was recalled, or commands wait.
    pub fn wake_helper(&self) {
        let waker = self.helper.lock().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
