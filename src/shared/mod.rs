//! What the Python objects of one loop share, below all of them: it knows none by its type.
//!
//! | file | what it is |
//! |---|---|
//! | `loop_state.rs`, `current.rs` | one loop as its objects see it; the loop of a thread |
//! | `table.rs` | what each key names |
//! | `posts.rs`, `trigger.rs` | what other threads left to be called; what a notifier leaves |
//! | `closings.rs`, `timers.rs`, `idlers.rs` | `close_cb`s that are to run; when timers are due; what runs when nothing else is to be done |
//! | `replaced.rs` | what the loop put in the place of the process's: signal handlers, the wake-up descriptor |
//! | `in_hand.rs` | the events that a turn has still to dispatch |
//! | `beat.rs` | its sign of life in debug mode |

pub(crate) mod beat;
pub(crate) mod closings;
pub(crate) mod current;
pub(crate) mod idlers;
pub(crate) mod in_hand;
pub(crate) mod loop_state;
pub(crate) mod posts;
pub(crate) mod replaced;
pub(crate) mod table;
pub(crate) mod timers;
pub(crate) mod trigger;
