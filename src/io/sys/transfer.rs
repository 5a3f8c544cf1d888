//! Receiving and sending without waiting, and looking what there is to receive.
//!
//! `recv` and `send` are rustix's: libc makes them cancellation points, with two locked instructions around each.

use crate::io::sys::faults;
use crate::io::sys::faults::Call;
use crate::io::sys::platform::{AsFd, PEEK_FLAGS, SEND_FLAGS};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, SendFlags};
use socket2::SockRef;
use std::io::{self, ErrorKind, IoSlice};
use std::mem::MaybeUninit;

/// Receives without waiting.
pub(crate) fn receive(socket: &impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    uninterrupted(|| {
        let allowed = faults::allowed(socket, Call::Receive, buffer.len())?;
        let (count, _) = rustix::net::recv(socket, &mut buffer[..allowed], RecvFlags::empty())?;
        Ok(count)
    })
}

/// [`receive`] into memory that is not initialised.
pub(crate) fn receive_into(socket: &impl AsFd, space: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
    uninterrupted(|| {
        let allowed = faults::allowed(socket, Call::Receive, space.len())?;
        let ((filled, _), _) =
            rustix::net::recv(socket, &mut space[..allowed], RecvFlags::empty())?;
        Ok(filled.len())
    })
}

/// Again, as long as a signal comes in between.
fn uninterrupted<R>(mut call: impl FnMut() -> io::Result<R>) -> io::Result<R> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Sends what the kernel takes of `slices`, `offered` bytes, without waiting.
///
/// `sendmsg` and not `write`: its flag keeps a broken pipe from raising SIGPIPE in the user's process.
pub(crate) fn send(
    socket: &impl AsFd,
    slices: &[IoSlice<'_>],
    offered: usize,
) -> io::Result<usize> {
    let allowed = faults::allowed(socket, Call::Send, offered)?;
    let send = |bytes: &[u8]| {
        let flags = SendFlags::from_bits_retain(SEND_FLAGS as u32);
        Ok(rustix::net::send(socket, bytes, flags)?)
    };
    match slices {
        [one] => send(&one[..one.len().min(allowed)]),
        [one, ..] if allowed < one.len() => send(&one[..allowed]),
        _ => SockRef::from(socket).send_vectored_with_flags(slices, SEND_FLAGS),
    }
}

/// Looks for received data or an error without taking data: true if bytes (or the peer's FIN) wait.
pub(crate) fn something_waits(socket: &impl AsFd) -> io::Result<bool> {
    let mut byte = [MaybeUninit::uninit()];
    match SockRef::from(socket).recv_with_flags(&mut byte, PEEK_FLAGS) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether neither bytes, nor the peer's FIN, nor an error wait. Takes nothing out of the kernel.
pub(crate) fn is_silent(socket: &impl AsFd) -> bool {
    let mut looked = [PollFd::new(socket, PollFlags::IN)];
    matches!(poll(&mut looked, Some(&Timespec::default())), Ok(0))
}
