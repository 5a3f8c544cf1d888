//! What Linux and other Unixes have in common.

use crate::io::sys::address::Address;
pub(crate) use libc as c;
use rustix::fs::FlockOperation;
use rustix::io::Errno;
use socket2::{SockAddr, Socket};
use std::borrow::Borrow;
use std::ffi::{CStr, OsStr};
use std::fs::{File, Metadata, Permissions};
use std::io;
pub(crate) use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// How long somebody may keep a folder locked: longer than it takes to begin to listen.
const LOCK_TRIES: u32 = 200;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// Without waiting, and without SIGPIPE. By libc's names, which all systems have that have the flags.
pub(crate) const SEND_FLAGS: i32 = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
pub(crate) const PEEK_FLAGS: i32 = libc::MSG_PEEK | libc::MSG_DONTWAIT;

pub(crate) fn set_option(
    socket: &impl AsFd,
    level: i32,
    name: i32,
    value: &[u8],
) -> io::Result<()> {
    let size = libc::socklen_t::try_from(value.len()).unwrap_or(libc::socklen_t::MAX);
    // SAFETY: the descriptor is open as long as `socket` is borrowed, and the kernel reads no more bytes than the value has.
    // No crate sets options that it does not know.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            value.as_ptr().cast(),
            size,
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

pub(crate) fn interface_index(name: &CStr) -> Option<u32> {
    // SAFETY: `name` ends with a NUL and lives during the call. The safe ways are another crate or /sys, which is of the
    // network that it was mounted in.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    (index != 0).then_some(index)
}

pub(crate) fn number(socket: &impl AsFd) -> RawFd {
    socket.as_fd().as_raw_fd()
}

/// # Safety
///
/// Nobody else owns it, and it is open.
pub(crate) unsafe fn own(number: RawFd) -> Socket {
    // SAFETY: the caller's.
    unsafe { Socket::from_raw_fd(number) }
}

pub(crate) fn file_of(number: RawFd) -> Option<(u64, u64)> {
    if number < 0 {
        return None;
    }
    // SAFETY: the descriptor is only looked at, and nothing is done if it is closed.
    let file = unsafe {
        let mut status = std::mem::zeroed::<libc::stat>();
        (libc::fstat(number, &raw mut status) == 0).then_some(status)
    };
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
    file.map(|status| (status.st_dev as u64, status.st_ino as u64))
}

pub(crate) fn this_thread() -> usize {
    // SAFETY: it cannot fail, and only looks.
    unsafe { libc::pthread_self() as usize }
}

/// By std: its copies are never 0, 1 or 2, which may be closed.
pub(crate) fn copy(socket: &impl AsFd) -> io::Result<Socket> {
    socket.as_fd().try_clone_to_owned().map(OwnedFd::into)
}

pub(crate) fn duplicate(number: RawFd) -> io::Result<Socket> {
    if number < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: it is borrowed for the one call that duplicates it, which fails for a number that is no open descriptor;
    // no safe way leads from a number, which is all that Python can hand over, to a borrowed descriptor.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    copy(&borrowed)
}

pub(crate) fn address(address: &SockAddr) -> io::Result<Address> {
    let path = || Some(Address::Path(address.as_pathname()?.into()));
    let name = || Some(Address::Abstract(address.as_abstract_namespace()?.into()));
    let unnamed = || address.is_unnamed().then_some(Address::Unnamed);
    let ip = address.as_socket().map(Address::Ip);
    let known = ip.or_else(path).or_else(name).or_else(unnamed);
    known.ok_or_else(|| io::Error::from_raw_os_error(libc::EAFNOSUPPORT))
}

/// The permissions of the file that `bind` makes of it, but for what the umask takes away.
pub(crate) fn set_mode(socket: &impl AsFd, mode: u32) -> io::Result<()> {
    Ok(rustix::fs::fchmod(
        socket,
        rustix::fs::Mode::from_bits_truncate(mode as _),
    )?)
}

pub(crate) fn set_file_mode(path: &Path, mode: u32) -> io::Result<()> {
    std::fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Until the result is dropped. Where the folder cannot be locked, or somebody keeps it locked, there is none.
pub(crate) fn lock_folder(folder: &Path) -> Option<File> {
    let folder = File::open(folder).ok()?;
    for _ in 0..LOCK_TRIES {
        match rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Some(folder),
            Err(Errno::WOULDBLOCK) => std::thread::sleep(LOCK_PAUSE),
            Err(_) => return None,
        }
    }
    None
}

pub(crate) fn socket_file_at(path: &Path) -> io::Result<Option<(u64, u64)>> {
    let found = std::fs::symlink_metadata(path)?;
    let is_socket = found.file_type().is_socket();
    Ok(is_socket.then(|| (found.dev(), found.ino())))
}

pub(crate) fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// Inode, size and time of the last change.
pub(crate) type FileVersion = (u64, u64, i64, i64);

pub(crate) fn file_version(data: &Metadata) -> FileVersion {
    (data.ino(), data.size(), data.mtime(), data.mtime_nsec())
}

pub(crate) const HOSTS: &str = "/etc/hosts";
pub(crate) const NULL: &str = "/dev/null";

/// A restarted server may bind while old connections are in TIME_WAIT; the option allows no more than that here.
pub(crate) fn let_rebind(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_address(true)
}

pub(crate) fn share_port(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_port(true)
}

pub(crate) type PipeEnd = UnixStream;
pub(crate) type AsyncPipeEnd = tokio::net::UnixStream;

pub(crate) fn pipe() -> io::Result<(PipeEnd, PipeEnd)> {
    UnixStream::pair()
}

pub(crate) type Watcher<S> = AsyncFd<Numbered<S>>;

/// Something with a socket, as Tokio wants it.
#[derive(Debug)]
pub(crate) struct Numbered<S>(pub(crate) S);

impl<S: Borrow<Socket>> AsRawFd for Numbered<S> {
    fn as_raw_fd(&self) -> RawFd {
        self.0.borrow().as_raw_fd()
    }
}

pub(crate) fn watch<S: Borrow<Socket>>(socket: S, interest: Interest) -> io::Result<Watcher<S>> {
    // SAFETY: the socket owns its descriptor, whose number stays the same until the socket is dropped, and `AsyncFd` stops
    // watching before it drops it. No safe call has Tokio watch a socket for urgent data.
    Ok(unsafe { AsyncFd::register_with_interest(Numbered(socket), interest) }?)
}
