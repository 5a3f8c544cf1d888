//! asyncio's streams, native: a reader and a writer whose waiting costs no Python frame where there is nothing to wait for.
//!
//! | file | what it is |
//! |---|---|
//! | `buffer.rs` | bytes that were received and not read yet |
//! | `reader.rs`, `writer.rs` | the two ends that a program has |
//! | `reader_methods.rs` | what Python calls of a reader |
//! | `protocol.rs` | what the transport calls |
//! | `want.rs` | what a read waits for |
//! | `reading.rs`, `draining.rs` | a read, and a `drain()`, that can be awaited |
//! | `waiting.rs` | what asyncio's tasks expect of such objects |

pub(crate) mod buffer;
pub(crate) mod draining;
pub(crate) mod protocol;
pub(crate) mod reader;
pub(crate) mod reader_methods;
pub(crate) mod reading;
pub(crate) mod waiting;
pub(crate) mod want;
pub(crate) mod writer;
