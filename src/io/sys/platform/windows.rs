//! Windows. It compiles; nobody has tried it.

use crate::io::sys::address::Address;
pub(crate) use crate::io::sys::platform::portable::{Timer, URGENT, nanoseconds};
use socket2::{SockAddr, Socket};
use std::borrow::Borrow;
use std::ffi::CStr;
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::windows::io::BorrowedSocket;
pub(crate) use std::os::windows::io::{
    AsRawSocket as AsRawFd, AsSocket as AsFd, RawSocket as RawFd,
};
use std::task::{Context, Poll};
use tokio::io::{Interest, Ready};

/// Such a socket does not block, and there is no SIGPIPE.
pub(crate) const SEND_FLAGS: i32 = 0;
/// `MSG_PEEK` of winsock2.h.
pub(crate) const PEEK_FLAGS: i32 = 2;
