//! System calls that neither Tokio nor socket2 offers, and the faults that tests inject into them.

pub(crate) mod calls;
pub mod faults;

pub(crate) use calls::*;
