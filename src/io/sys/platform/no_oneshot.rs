//! Descriptors of the app's, where they cannot be watched.

use crate::io::sys::interest::Interest;
use crate::io::sys::platform::RawFd;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

/// There is none.
pub(crate) struct OneShots(Infallible);

impl OneShots {
    pub(crate) fn new() -> io::Result<Self> {
        Err(io::Error::from_raw_os_error(
            crate::io::sys::platform::c::EOPNOTSUPP,
        ))
    }

    pub(crate) fn add(&self, _: RawFd, _: u64, _: Interest) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn again(&self, _: RawFd, _: u64, _: Interest) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn remove(&self, _: RawFd) {
        match self.0 {}
    }
}

pub(crate) fn is_ready(_: RawFd, _: Interest) -> io::Result<bool> {
    Ok(false)
}

pub(crate) struct Waiting(Arc<OneShots>);

impl Waiting {
    pub(crate) fn new(all: Arc<OneShots>) -> io::Result<Self> {
        Ok(Self(all))
    }

    pub(crate) fn poll(
        &mut self,
        _: &mut Context<'_>,
        _: impl FnMut(u64, Interest),
    ) -> Poll<io::Result<()>> {
        match self.0.0 {}
    }
}
