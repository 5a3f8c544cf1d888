//! The Python objects of a loop that are no sockets.

pub(crate) mod lookup;
pub(crate) mod proxy_header;
pub(crate) mod server;
pub(crate) mod timer;
