//! What Python sees of the Rust side, by name: the module `asynctcp._core`.
//!
//! `io/` is the I/O side and knows no Python; the other files are the pump side. See ARCHITECTURE.md.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod adopt;
mod app_error;
mod args;
mod beat;
mod block;
mod call;
mod condition;
mod contention;
mod core;
mod coroutine;
mod detach;
mod dispatch;
mod ending;
mod event_loop;
mod flusher;
mod foreign;
mod functions;
mod in_hand;
#[cfg(feature = "fault-injection")]
mod injection;
mod interpreter;
pub mod io;
mod lender;
mod life;
mod lookup;
mod max_line;
mod notifier;
mod open_loops;
mod os_error;
mod outcome;
mod pump;
mod reservation;
mod server;
mod signals;
mod socket;
mod socket_life;
mod socket_options;
mod socket_state;
mod stages;
mod streams;
mod timer;
mod turn;
mod wakeup;

use pyo3::prelude::*;

/// The native module. Public for `benches/dispatch.rs`, which puts it into an interpreter of its own.
#[doc(hidden)]
#[pyo3::pymodule(gil_used = true)]
pub fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    interpreter::check_main()?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<block::LoopBlock>()?;
    module.add_class::<event_loop::LoopCore>()?;
    module.add_class::<notifier::Notifier>()?;
    module.add_class::<reservation::Reservation>()?;
    module.add_class::<server::TcpServer>()?;
    module.add_class::<socket::Socket>()?;
    module.add_class::<timer::Timer>()?;
    macro_rules! functions {
        ($($path:path),* $(,)?) => { $(module.add_function(pyo3::wrap_pyfunction!($path, module)?)?;)* };
    }
    functions![
        adopt::adopt_tcp_socket,
        args::_check_callback,
        event_loop::current_event_loop,
        event_loop::set_default_event_handler,
        functions::close_socket,
        functions::close_tcp_server,
        functions::connect_tcp_socket,
        functions::disable_socket,
        functions::enable_socket,
        functions::init_tcp_socket,
        functions::remove_interval,
        functions::set_socket_timeouts,
        functions::socket_c,
        functions::socket_closed_p,
        functions::socket_data,
        functions::tcp_connect,
        functions::write_socket_data,
        lookup::dns_lookup,
        lookup::reverse_dns_lookup,
        open_loops::_close_at_exit,
        open_loops::_forked,
        server::tcp_server,
        signals::_clear_signals,
        signals::_free_signal,
        signals::_handle_signal,
        timer::delay,
        timer::interval,
    ];
    #[cfg(feature = "fault-injection")]
    functions![injection::_inject];
    Ok(())
}
