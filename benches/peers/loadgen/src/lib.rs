//! What the load and the raw epoll server share.

pub mod bytes;
pub mod conn;
pub mod meter;
pub mod poller;
pub mod proc;
pub mod stream;
pub mod target;
pub mod tls;
