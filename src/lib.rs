//! What Python sees of the Rust side, by name: the module `asynctcp._core`.
//!
//! `io/` is the I/O side and knows no Python; the other files are the pump side. See ARCHITECTURE.md.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod app_error;
mod args;
mod condition;
mod contention;
mod core;
mod coroutine;
mod dispatch;
mod ending;
mod event_loop;
mod foreign;
mod functions;
#[cfg(feature = "fault-injection")]
mod injection;
pub mod io;
mod lender;
mod life;
mod lookup;
mod max_line;
mod os_error;
mod pump;
mod reservation;
mod server;
mod socket;
mod socket_life;
mod socket_options;
mod socket_state;
mod streams;
mod timer;
mod wakeup;

/// The native module. Public for `benches/dispatch.rs`, which puts it into an interpreter of its own.
#[doc(hidden)]
#[pyo3::pymodule(gil_used = true)]
pub mod _core {
    #[pymodule_export]
    use crate::args::_check_callback;
    #[pymodule_export]
    use crate::event_loop::{_forked, LoopCore, set_default_event_handler};
    #[pymodule_export]
    use crate::functions::{
        close_socket, close_tcp_server, connect_tcp_socket, disable_socket, enable_socket,
        init_tcp_socket, remove_interval, set_socket_timeouts, socket_c, socket_closed_p,
        socket_data, tcp_connect, write_socket_data,
    };
    #[cfg(feature = "fault-injection")]
    #[pymodule_export]
    use crate::injection::_inject;
    #[pymodule_export]
    use crate::lookup::{dns_lookup, reverse_dns_lookup};
    #[pymodule_export]
    use crate::reservation::Reservation;
    #[pymodule_export]
    use crate::server::{TcpServer, tcp_server};
    #[pymodule_export]
    use crate::socket::Socket;
    #[pymodule_export]
    use crate::timer::{Timer, delay, interval};

    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
