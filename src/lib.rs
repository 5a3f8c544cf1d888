//! asynctcp.
pub mod io;
