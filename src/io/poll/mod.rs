//! Descriptors of the app's that the pump is told of when they are ready.
//!
//! | file | what it is |
//! |---|---|
//! | `descriptors.rs` | those of one loop, and who asked for them |
//! | `watcher.rs` | the task that tells the pump |
//! | `idle_timeout.rs` | the task that tells that one was not ready for long |

pub mod descriptors;
pub mod idle_timeout;
pub mod watcher;
