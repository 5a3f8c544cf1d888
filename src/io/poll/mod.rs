//! Descriptors of the app's that the pump is told of when they are ready.
//!
//! | file | what it is |
//! |---|---|
//! | `descriptors.rs` | those of one loop, and who asked for them |
//! | `telling.rs` | the task that tells the pump |
//! | `silence.rs` | the task that tells that one was not ready for long |

pub mod descriptors;
pub mod silence;
pub mod telling;
