//! What differs by platform, under the same names for each.
//!
//! | file | for |
//! |---|---|
//! | `linux.rs`, `epoll.rs`, `oneshot.rs`, `datagrams.rs` | Linux; many descriptors at once there; the app's, beside those that Tokio watches; several datagrams at once |
//! | `other_unix.rs`, `windows.rs`, `no_oneshot.rs`, `no_epoll.rs` | any other Unix; Windows; the app's descriptors cannot be watched there; untried |
//! | `unix.rs` | what Linux and other Unixes have in common |
//! | `portable.rs` | what any platform can do, where it has nothing better |
//!
//! | name | what it is |
//! |---|---|
//! | `c` | the system's numbers (errors, families, EAI codes) by C's names |
//! | `AsFd`, `RawFd`, `number` | what has a socket, and its number |
//! | `own`, `file_of` | the socket of a number that nobody else owns; which file has the number now |
//! | `this_thread` | the thread, as Python's `threading.get_ident()` numbers it |
//! | `copy`, `duplicate` | a socket a second time; that of a number, whose owner keeps it: EBADF where nothing is open |
//! | `address` | an address of the system's; EAFNOSUPPORT where it is neither IP nor Unix |
//! | `set_mode`, `set_file_mode` | permissions of a Unix socket's file, before it is bound and after |
//! | `lock_folder` | keeps others that lock it, too, from a folder |
//! | `socket_file_at` | which file a path is, if it is a socket's |
//! | `peer_credentials`, `path` | process, user and group of a Unix socket's peer; the path that these bytes name |
//! | `set_option`, `let_rebind`, `share_port` | `setsockopt` with a value as the kernel reads it; a restarted server may bind; several servers may |
//! | `choose_port_late` | a port that is left to the kernel is chosen when connecting: it then need be free for that peer only |
//! | `is_listening`, `accept` | whether a socket listens; the next connection, which does not block, and its peer |
//! | `SEND_FLAGS`, `PEEK_FLAGS` | send, or look, without waiting and without a signal |
//! | `unacknowledged` | bytes (a FIN counts as one) that the peer does not have; 1 where the kernel does not tell |
//! | `disconnect` | undoes `connect`, which resets a connection |
//! | `HOSTS`, `FileVersion`, `file_version`, `NULL` | the hosts file, whether a file has changed, the device that is empty |
//! | `interface_index` | the number of a network interface, in the network that the process is in |
//! | `give_heap_back` | lets the system have the freed memory at the heap's end, but for so many bytes |
//! | `nanoseconds` | the clock of `std::time::Instant`, at half its price where that can be: it is read each turn |
//! | `Timer` | goes off once; set and cleared without waking the thread that waits for it |
//! | `PipeEnd`, `AsyncPipeEnd`, `pipe` | two connected ends of a stream in this process |
//! | `Watcher`, `watch`, `URGENT` | a socket that Tokio watches, in the runtime's context; how it tells of urgent data, None: not at all |

#[cfg(target_os = "linux")]
pub(crate) mod datagrams;
#[cfg_attr(not(target_os = "linux"), path = "no_epoll.rs")]
pub(crate) mod epoll;
#[cfg(target_os = "linux")]
mod linux;
#[cfg_attr(not(target_os = "linux"), path = "no_oneshot.rs")]
pub(crate) mod oneshot;
#[cfg(all(unix, not(target_os = "linux")))]
mod other_unix;
#[cfg(not(target_os = "linux"))]
mod portable;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(target_os = "linux")]
pub(crate) use linux::*;
#[cfg(all(unix, not(target_os = "linux")))]
pub(crate) use other_unix::*;
#[cfg(unix)]
pub(crate) use unix::*;
#[cfg(windows)]
pub(crate) use windows::*;
