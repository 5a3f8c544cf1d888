//! What Python sees of the Rust side, by name: the module `asynctcp._core`.
//!
//! `io/` is the I/O side and knows no Python; the other files are the pump side. See ARCHITECTURE.md.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod boundary;
mod event_loop;
pub mod io;
mod objects;
mod socket;
mod turn;

use pyo3::prelude::*;

/// The native module. Public for `benches/dispatch.rs`, which puts it into an interpreter of its own.
#[doc(hidden)]
#[pyo3::pymodule(gil_used = true)]
pub fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    boundary::interpreter::check_main()?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<event_loop::block::LoopBlock>()?;
    module.add_class::<event_loop::LoopCore>()?;
    module.add_class::<objects::notifier::Notifier>()?;
    module.add_class::<socket::reservation::Reservation>()?;
    module.add_class::<objects::server::TcpServer>()?;
    module.add_class::<socket::Socket>()?;
    module.add_class::<objects::timer::Timer>()?;
    macro_rules! functions {
        ($($path:path),* $(,)?) => { $(module.add_function(pyo3::wrap_pyfunction!($path, module)?)?;)* };
    }
    functions![
        boundary::adopt::adopt_tcp_socket,
        boundary::args::_check_callback,
        event_loop::current_event_loop,
        event_loop::set_default_event_handler,
        boundary::functions::close_socket,
        boundary::functions::close_tcp_server,
        boundary::functions::connect_tcp_socket,
        boundary::functions::disable_socket,
        boundary::functions::enable_socket,
        boundary::functions::init_tcp_socket,
        boundary::functions::remove_interval,
        boundary::functions::set_socket_timeouts,
        boundary::functions::socket_c,
        boundary::functions::socket_closed_p,
        boundary::functions::socket_data,
        boundary::functions::tcp_connect,
        boundary::functions::write_socket_data,
        objects::lookup::dns_lookup,
        objects::lookup::reverse_dns_lookup,
        event_loop::open_loops::_close_at_exit,
        event_loop::open_loops::_forked,
        objects::server::tcp_server,
        event_loop::signals::_clear_signals,
        event_loop::signals::_free_signal,
        event_loop::signals::_handle_signal,
        objects::timer::delay,
        objects::timer::interval,
    ];
    #[cfg(feature = "fault-injection")]
    functions![boundary::injection::_inject];
    Ok(())
}
