//! Several datagrams by one system call.

use crate::io::sys::platform::SEND_FLAGS;
use socket2::{SockAddr, SockAddrStorage, SockRef};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

/// So many are sent at once.
pub(crate) const MOST_SENT: usize = 32;
/// So many are received at once.
pub(crate) const MOST_RECEIVED: usize = 16;

/// Sends the first of them, each to its address, without waiting. How many were taken: at least one.
pub(crate) fn send_to_each(
    socket: BorrowedFd<'_>,
    datagrams: &[(&[u8], &SockAddr)],
) -> io::Result<usize> {
    if let [(bytes, address)] = datagrams {
        return SockRef::from(&socket)
            .send_to_with_flags(bytes, address, SEND_FLAGS)
            .map(|_| 1);
    }
    let count = datagrams.len().min(MOST_SENT);
    let mut pieces = [const { MaybeUninit::<libc::iovec>::uninit() }; MOST_SENT];
    let mut messages = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; MOST_SENT];
    for (place, (bytes, address)) in datagrams.iter().take(count).enumerate() {
        let piece = pieces[place].write(libc::iovec {
            iov_base: bytes.as_ptr().cast_mut().cast(),
            iov_len: bytes.len(),
        });
        let piece: *mut libc::iovec = piece;
        // SAFETY: it is a plain C structure, of which all zeros is a value.
        let message = messages[place].write(unsafe { std::mem::zeroed() });
        message.msg_hdr.msg_name = address.as_ptr().cast_mut().cast();
        message.msg_hdr.msg_namelen = address.len();
        message.msg_hdr.msg_iov = piece;
        message.msg_hdr.msg_iovlen = 1;
    }
    // SAFETY: the first `count` messages were written above. What they point to lives as long as `datagrams` and `pieces`, and the
    // kernel only reads it. Neither rustix nor socket2 has this call.
    let sent = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            messages.as_mut_ptr().cast(),
            count as _,
            SEND_FLAGS as _,
        )
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Sends one to the peer, without waiting.
pub(crate) fn send_to_peer(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
    SockRef::from(&socket)
        .send_with_flags(bytes, SEND_FLAGS)
        .map(drop)
}

/// Receives what is there, each datagram into `size` bytes of `buffer`, as many as have room, without waiting. Gives each to
/// `take`, with its sender. How many they were.
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    size: usize,
    mut take: impl FnMut(&[u8], SockAddr),
) -> io::Result<usize> {
    let count = (buffer.len() / size).min(MOST_RECEIVED);
    let mut names = [const { MaybeUninit::<SockAddrStorage>::uninit() }; MOST_RECEIVED];
    let mut pieces = [const { MaybeUninit::<libc::iovec>::uninit() }; MOST_RECEIVED];
    let mut messages = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; MOST_RECEIVED];
    for (place, room) in buffer.chunks_exact_mut(size).take(count).enumerate() {
        let name: *mut SockAddrStorage = names[place].write(SockAddrStorage::zeroed());
        let piece: *mut libc::iovec = pieces[place].write(libc::iovec {
            iov_base: room.as_mut_ptr().cast(),
            iov_len: size,
        });
        // SAFETY: it is a plain C structure, of which all zeros is a value.
        let message = messages[place].write(unsafe { std::mem::zeroed() });
        message.msg_hdr.msg_name = name.cast();
        message.msg_hdr.msg_namelen = size_of::<SockAddrStorage>() as libc::socklen_t;
        message.msg_hdr.msg_iov = piece;
        message.msg_hdr.msg_iovlen = 1;
    }
    // SAFETY: the first `count` messages were written above, and point to as much memory as they say, which is borrowed for the call.
    // Neither rustix nor socket2 has this call.
    let received = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            messages.as_mut_ptr().cast(),
            count as _,
            libc::MSG_DONTWAIT as _,
            std::ptr::null_mut(),
        )
    };
    let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
    for place in 0..received {
        // SAFETY: the kernel has written the first `received` messages and names, which were initialised before.
        let (message, name) = unsafe {
            (
                messages[place].assume_init(),
                names[place].assume_init_read(),
            )
        };
        // SAFETY: the kernel says how much of the name it has written.
        let sender = unsafe { SockAddr::new(name, message.msg_hdr.msg_namelen) };
        let len = (message.msg_len as usize).min(size);
        take(&buffer[place * size..][..len], sender);
    }
    Ok(received)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    #[test]
    fn what_was_sent_at_once_is_received_at_once_in_order_and_with_its_sender() {
        let (a, b) = (
            UdpSocket::bind("127.0.0.1:0").unwrap(),
            UdpSocket::bind("127.0.0.1:0").unwrap(),
        );
        let to = SockAddr::from(b.local_addr().unwrap());
        let sent = send_to_each(a.as_fd(), &[(b"one", &to), (b"", &to), (b"three", &to)]);
        assert_eq!(sent.unwrap(), 3);
        let mut got = Vec::new();
        let mut buffer = [0; 64];
        let count = receive(b.as_fd(), &mut buffer, 4, |bytes, from| {
            assert_eq!(from.as_socket(), a.local_addr().ok());
            got.push(bytes.to_vec());
        });
        assert_eq!(count.unwrap(), 3);
        // Cut off: there was no more room.
        assert_eq!(got, [b"one".to_vec(), vec![], b"thre".to_vec()]);
        let nothing = receive(b.as_fd(), &mut buffer, 4, |_, _| {}).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn the_first_that_cannot_be_sent_is_the_error_and_what_is_before_it_is_sent() {
        let (a, b) = (
            UdpSocket::bind("127.0.0.1:0").unwrap(),
            UdpSocket::bind("127.0.0.1:0").unwrap(),
        );
        let to = SockAddr::from(b.local_addr().unwrap());
        let long = vec![0; 70_000];
        assert_eq!(
            send_to_each(a.as_fd(), &[(b"one", &to), (&long, &to)]).unwrap(),
            1
        );
        let error = send_to_each(a.as_fd(), &[(&long, &to), (b"two", &to)]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
    }
}
