//! The few system calls that neither Tokio nor socket2 offers.
//!
//! `recv` and `send` are rustix's: libc makes them cancellation points, with two locked instructions around each.

use crate::io::conn::stream::Stream;
use crate::io::sys::faults;
use crate::io::sys::faults::Call;
use rustix::net::{RecvFlags, SendFlags};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;

/// The system's monotonic clock in nanoseconds: that of [`std::time::Instant`], at half its price, since it is read each
/// turn.
#[cfg(target_os = "linux")]
pub fn nanoseconds() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the system writes one `timespec` to that address. `Instant` costs 110 instructions a turn more, and rustix's
    // way ends the process under valgrind, where there is no vDSO.
    let _ = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    // It counts from the machine's start: neither is negative, and the sum lasts for 500 years.
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// See above; from the first call.
#[cfg(not(target_os = "linux"))]
pub fn nanoseconds() -> u64 {
    static FIRST: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    let first = FIRST.get_or_init(std::time::Instant::now);
    u64::try_from(first.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Receives without waiting.
pub fn receive(stream: &Stream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match receive_once(stream, buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn receive_once(stream: &Stream, buffer: &mut [u8]) -> io::Result<usize> {
    let allowed = faults::allowed(stream, Call::Receive, buffer.len())?;
    let (count, _) = rustix::net::recv(stream, &mut buffer[..allowed], RecvFlags::empty())?;
    Ok(count)
}

/// [`receive`] into memory that is not initialised.
pub fn receive_into(stream: &Stream, space: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
    loop {
        match receive_into_once(stream, space) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn receive_into_once(stream: &Stream, space: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
    let allowed = faults::allowed(stream, Call::Receive, space.len())?;
    let ((filled, _), _) = rustix::net::recv(stream, &mut space[..allowed], RecvFlags::empty())?;
    Ok(filled.len())
}

/// Sends what the kernel takes of `slices`, `offered` bytes, without waiting.
///
/// `sendmsg` and not `write`: MSG_NOSIGNAL keeps a broken pipe from raising SIGPIPE in the user's process.
pub fn send(stream: &Stream, slices: &[IoSlice<'_>], offered: usize) -> io::Result<usize> {
    let allowed = faults::allowed(stream, Call::Send, offered)?;
    // By libc's name, which all systems have that have the flag.
    let flags = SendFlags::from_bits_retain(libc::MSG_NOSIGNAL as u32) | SendFlags::DONTWAIT;
    let send = |bytes: &[u8]| Ok(rustix::net::send(stream, bytes, flags)?);
    match slices {
        [one] => send(&one[..one.len().min(allowed)]),
        [one, ..] if allowed < one.len() => send(&one[..allowed]),
        _ => {
            let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
            stream.socket().send_vectored_with_flags(slices, flags)
        }
    }
}

/// Looks for received data or an error without taking data: true if bytes (or the peer's FIN) wait.
pub fn something_waits(stream: &Stream) -> io::Result<bool> {
    let mut byte = [MaybeUninit::uninit()];
    let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    match stream.socket().recv_with_flags(&mut byte, flags) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether neither bytes, nor the peer's FIN, nor an error wait. Takes nothing out of the kernel.
pub fn is_silent(stream: &Stream) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut looked = [PollFd::new(stream, PollFlags::IN)];
    matches!(poll(&mut looked, Some(&Timespec::default())), Ok(0))
}

/// Bytes (a FIN counts as one) that the kernel sent and the peer has not acknowledged, or has still to send.
#[cfg(target_os = "linux")]
pub fn unacknowledged(stream: &Stream) -> io::Result<usize> {
    use std::os::fd::AsRawFd;
    let mut count: libc::c_int = 0;
    // SAFETY: the descriptor is open as long as `stream` is borrowed, and SIOCOUTQ (which is TIOCOUTQ) writes one int
    // to the address it is given. No crate wraps this call, and without it a close either cuts replies or waits for
    // the peer's FIN.
    let result = unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut count) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(usize::try_from(count).unwrap_or(0))
    }
}

/// Elsewhere the kernel does not tell: the close waits for the peer's FIN instead.
#[cfg(not(target_os = "linux"))]
pub fn unacknowledged(_: &Stream) -> io::Result<usize> {
    Ok(1)
}

/// Makes the coming close a reset, and resets at once where the system can: a forked child that holds a copy of the
/// descriptor would otherwise keep the connection open.
pub fn reset(stream: &Stream) {
    let _ = stream.socket().set_linger(Some(std::time::Duration::ZERO));
    #[cfg(target_os = "linux")]
    let _ = rustix::net::connect_unspec(stream);
}

/// Makes a socket whose attempt has failed ready for the next.
pub fn forget_connection(socket: &socket2::Socket) {
    #[cfg(target_os = "linux")]
    let _ = rustix::net::connect_unspec(socket);
    #[cfg(not(target_os = "linux"))]
    let _ = socket;
}

/// A FIN, although copies of the descriptor may be open elsewhere.
pub fn finish(stream: &Stream) {
    let _ = stream.socket().shutdown(std::net::Shutdown::Write);
}

/// The index of a network interface, in the network that the process is in.
pub fn interface_index(name: &str) -> Option<u32> {
    let name = std::ffi::CString::new(name).ok()?;
    // SAFETY: `name` ends with a NUL and lives during the call. The safe ways are another crate or /sys, which is of the
    // network that it was mounted in.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    (index != 0).then_some(index)
}

/// Lets a port that is left to the kernel be chosen when connecting: it then need be free for that peer only. Where the
/// system cannot, it is chosen when binding.
#[cfg(target_os = "linux")]
pub fn choose_port_late(socket: &socket2::Socket) {
    use std::os::fd::AsRawFd;
    let on: libc::c_int = 1;
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the descriptor is open as long as `socket` is borrowed, and the kernel reads one int of the given size. No
    // crate here wraps this option, and without it one own address runs out of ports for all peers together.
    let _ = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const on).cast(),
            size,
        )
    };
}

/// See above.
#[cfg(not(target_os = "linux"))]
pub fn choose_port_late(_: &socket2::Socket) {}
