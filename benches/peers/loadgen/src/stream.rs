//! What bytes travel over: TCP, a Unix socket, or TLS over TCP, each read and written like a nonblocking socket.

use crate::tls::Tls;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(TcpStream, Box<Tls>),
}

impl Stream {
    pub fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) | Self::Tls(stream, _) => stream.set_nonblocking(true),
            Self::Unix(stream) => stream.set_nonblocking(true),
        }
    }

    pub fn set_nodelay(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) | Self::Tls(stream, _) => stream.set_nodelay(true),
            Self::Unix(_) => Ok(()),
        }
    }

    /// TLS has not shaken hands yet, so a write waits for what the server sends.
    pub fn is_opening(&self) -> bool {
        matches!(self, Self::Tls(_, tls) if !tls.is_open())
    }

    /// A write that would block waits for room in the kernel.
    pub fn waits_for_room(&self) -> bool {
        match self {
            Self::Tls(_, tls) => tls.wants_to_send(),
            Self::Tcp(_) | Self::Unix(_) => true,
        }
    }

    pub fn is_resumed(&self) -> bool {
        matches!(self, Self::Tls(_, tls) if tls.is_resumed())
    }

    /// Nothing more will be written.
    pub fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
            Self::Tls(stream, tls) => {
                tls.close_notify(stream)?;
                stream.shutdown(Shutdown::Write)
            }
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) | Self::Tls(stream, _) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
            Self::Tls(stream, tls) => tls.read(stream, buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
            Self::Tls(stream, tls) => tls.write(stream, bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
