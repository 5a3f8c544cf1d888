//! Windows. The I/O side compiles for it; nobody has tried it.

use crate::io::sys::address::Address;
pub(crate) use crate::io::sys::platform::portable::{
    Timer, URGENT, choose_port_late, disconnect, is_listening, nanoseconds, unacknowledged,
};
use socket2::{SockAddr, Socket};
use std::borrow::Borrow;
use std::ffi::CStr;
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::windows::io::BorrowedSocket;
pub(crate) use std::os::windows::io::{
    AsRawSocket as AsRawFd, AsSocket as AsFd, RawSocket as RawFd,
};
use std::task::{Context, Poll, ready};
use tokio::io::{Interest, Ready};

/// A socket that does not block sends without waiting, and there are no signals.
pub(crate) const SEND_FLAGS: i32 = 0;
/// MSG_PEEK of winsock2.h.
pub(crate) const PEEK_FLAGS: i32 = 2;
