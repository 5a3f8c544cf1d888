//! What is sent over a new connection before anything else.

use crate::io::conn::wire::Wire;
use std::io::{self, ErrorKind, IoSlice};
use std::task::{Poll, ready};

/// Ready when the kernel has all of it.
pub(crate) async fn send(wire: &Wire, mut bytes: &[u8]) -> io::Result<()> {
    std::future::poll_fn(|context| {
        while !bytes.is_empty() {
            ready!(wire.poll_write_ready(context));
            let send = || wire.send(&[IoSlice::new(bytes)], bytes.len());
            match wire.try_write(send) {
                Ok(count) => bytes = &bytes[count..],
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    })
    .await
}
