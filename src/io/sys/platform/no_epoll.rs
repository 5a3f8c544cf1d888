//! A selector, where there is none.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

/// There is none.
pub(crate) struct Selector(Infallible);

pub(crate) struct Nested(Arc<Selector>);

impl Nested {
    pub(crate) fn new(selector: Arc<Selector>) -> io::Result<Self> {
        Ok(Self(selector))
    }

    pub(crate) fn poll(&self, _: &mut Context<'_>) -> Poll<()> {
        match self.0.0 {}
    }
}
