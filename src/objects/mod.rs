//! The Python objects of a loop that are no sockets.

pub(crate) mod ends;
pub(crate) mod idler;
pub(crate) mod lookup;
pub(crate) mod poller;
pub(crate) mod proxy_header;
pub(crate) mod server;
pub(crate) mod timer;
