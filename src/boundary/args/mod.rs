//! Checks arguments at the call, before anything is opened, and turns them into plain Rust values.
//!
//! | file | what it checks |
//! |---|---|
//! | `callbacks.rs`, `numbers.rs`, `times.rs` | callables, whole numbers, seconds |
//! | `paths.rs` | names of Unix sockets |
//! | `hosts.rs`, `options.rs`, `data.rs` | hosts and addresses, socket options, what is to be sent |
//! | `proxy.rs` | the PROXY protocol |
//! | `keywords.rs` | keywords that there are not: which may have been meant |
//! | `refusal.rs` | how it refuses: every message names the argument and its value |

pub(crate) mod callbacks;
pub(crate) mod data;
pub(crate) mod hosts;
pub(crate) mod keywords;
pub(crate) mod numbers;
pub(crate) mod options;
pub(crate) mod paths;
pub(crate) mod proxy;
pub(crate) mod refusal;
pub(crate) mod times;

pub(crate) use callbacks::{Change, callback, required_callback};
pub(crate) use data::{Data, slice};
pub(crate) use hosts::{HostArg, bind_host, family, host, literal_host, local_address};
pub(crate) use numbers::{backlog, optional_whole, port, whole, within};
pub(crate) use options::{keepalive, socket_options};
pub(crate) use paths::unix_path;
pub(crate) use proxy::{ProxyTimeout, proxy_ends, proxy_policy, tlvs};
pub(crate) use times::{delay, patience, period, timeout, timeouts};
