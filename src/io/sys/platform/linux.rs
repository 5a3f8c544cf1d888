//! Linux.

use crate::io::sys::address::Address;
use crate::io::sys::platform::unix::{path, set_option};
use rustix::io::Errno;
use rustix::net::{SocketAddrAny, SocketAddrUnix};
use rustix::net::{SocketFlags, acceptfrom_with, connect_unspec};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use socket2::Socket;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;
use tokio::io::Interest;

pub(crate) const URGENT: Option<Interest> = Some(Interest::PRIORITY);

pub(crate) fn nanoseconds() -> u64 {
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

pub(crate) fn unacknowledged(socket: &impl AsFd) -> io::Result<usize> {
    count(socket, libc::TIOCOUTQ)
}

/// Bytes that wait for the peer's window or the network, TCP's only.
pub(crate) fn unsent(socket: &impl AsFd) -> io::Result<usize> {
    count(socket, SIOCOUTQNSD)
}

/// linux/sockios.h; libc does not have it.
const SIOCOUTQNSD: libc::Ioctl = 0x894B;

fn count(socket: &impl AsFd, what: libc::Ioctl) -> io::Result<usize> {
    let mut count: libc::c_int = 0;
    // SAFETY: the descriptor is open as long as `socket` is borrowed, and both requests write one int to the address they are
    // given. No crate wraps them, and without them a close either cuts replies or waits for the peer's FIN.
    let result = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), what, &raw mut count) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(usize::try_from(count).unwrap_or(0))
    }
}

pub(crate) fn disconnect(socket: &impl AsFd) {
    let _ = connect_unspec(socket);
}

/// Without it one own address runs out of ports for all peers together.
pub(crate) fn choose_port_late(socket: &Socket) {
    let on: libc::c_int = 1;
    let _ = set_option(
        socket,
        libc::IPPROTO_IP,
        libc::IP_BIND_ADDRESS_NO_PORT,
        &on.to_ne_bytes(),
    );
}

pub(crate) fn is_listening(socket: &Socket) -> io::Result<bool> {
    socket.is_listener()
}

/// In one system call.
pub(crate) fn accept(listening: &Socket) -> io::Result<(Socket, Address)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (accepted, peer) = loop {
        match acceptfrom_with(listening, flags) {
            Err(Errno::INTR) => {}
            result => break result?,
        }
    };
    let accepted = Socket::from(accepted);
    Ok((accepted, peer.map_or(Address::Unnamed, address_of)))
}

/// Asked again, the kernel has forgotten it if the peer has gone meanwhile.
fn address_of(peer: SocketAddrAny) -> Address {
    if let Ok(ip) = SocketAddr::try_from(peer.clone()) {
        return ip.into();
    }
    match SocketAddrUnix::try_from(peer) {
        Ok(unix) => match (unix.path_bytes(), unix.abstract_name()) {
            (Some(bytes), _) if !bytes.is_empty() => Address::Path(path(bytes).into()),
            (_, Some(name)) if !name.is_empty() => Address::Abstract(name.into()),
            _ => Address::Unnamed,
        },
        Err(_) => Address::Unnamed,
    }
}

pub(crate) fn peer_credentials(socket: &impl AsFd) -> io::Result<(i32, u32, u32)> {
    let peer = rustix::net::sockopt::socket_peercred(socket)?;
    Ok((peer.pid.as_raw_pid(), peer.uid.as_raw(), peer.gid.as_raw()))
}

/// glibc gives back the heap's end only, and one small block there, which another thread freed and caches, keeps all
/// below: 49 MiB of 256 that were written, begun to be sent by the helper, and dropped.
#[cfg(target_env = "gnu")]
pub(crate) fn give_heap_back(kept: usize) {
    // SAFETY: it may be called at any time; it takes the allocator's own locks only. Measured, see above.
    unsafe { libc::malloc_trim(kept) };
}

/// musl keeps none.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn give_heap_back(_: usize) {}

/// A timerfd: setting it wakes nobody, and costs one system call.
pub(crate) struct Timer(OwnedFd);

impl Timer {
    pub(crate) fn new() -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?;
        Ok(Self(timer))
    }

    pub(crate) fn set(&self, delay: Duration) {
        let value = Timespec {
            tv_sec: i64::try_from(delay.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(delay.subsec_nanos()),
        };
        let once = Itimerspec {
            it_interval: Timespec::default(),
            it_value: value,
        };
        // It fails for a bad time or descriptor only, and neither can be had here.
        let _ = timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once);
    }

    pub(crate) fn clear(&self) {
        self.set(Duration::ZERO);
    }

    pub(crate) fn wait(&self) {
        let mut count = [0; 8];
        while let Err(Errno::INTR) = rustix::io::read(&self.0, &mut count) {}
    }
}
