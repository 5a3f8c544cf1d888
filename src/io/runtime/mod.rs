//! Who drives the Tokio runtime, and when.
//!
//! | file | what it is |
//! |---|---|
//! | `driver.rs`, `helper.rs`, `handover.rs` | the pump; the helper, which drives while Python keeps the pump; the word that says who |
//! | `wait_timer.rs` | ends a wait of the pump's at its time |
//! | `watch.rs`, `alarm.rs` | when the helper looks whether it shall; the alarm that calls it |
//! | `reactor.rs` | what drives, as tasks and pump see it: all of this folder but the drivers |
//! | `commands.rs`, `mailbox.rs` | what others ask of whoever drives; where they leave it |
//! | `clock.rs`, `absence.rs` | the time of turns; how long Python keeps the pump, and who waits for its return |
//! | `scheduler.rs` | the connections' tasks, polled by whoever drives |
//! | `lane.rs` | handshakes, one step at a time |
//! | `threads.rs`, `wake_order.rs` | threads of the runtime's own; in which order they poll |
//! | `flush_list.rs` | the connections that are to be flushed |
//! | `late_flush.rs` | when those send what the pump is late to send |
//! | `bell.rs` | the descriptor that a foreign loop watches |
//! | `host.rs` | the selector of an asyncio loop of ours that hosts this one |

pub mod absence;
pub mod alarm;
pub mod bell;
pub(crate) mod clock;
pub mod commands;
pub mod driver;
pub mod flush_list;
pub mod handover;
pub(crate) mod helper;
pub(crate) mod host;
pub(crate) mod lane;
pub mod late_flush;
pub mod mailbox;
pub mod reactor;
pub mod scheduler;
pub(crate) mod threads;
pub(crate) mod wait_timer;
pub(crate) mod wake_order;
pub mod watch;
