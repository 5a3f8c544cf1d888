//! What Python sees of the Rust side, by name: the module `asynctcp._core`.
//!
//! `io/` is the I/O side and knows no Python; the other files are the pump side. See ARCHITECTURE.md.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

#[cfg(target_os = "linux")]
mod aio;
mod boundary;
mod event_loop;
mod functions;
pub mod io;
mod objects;
mod shared;
mod socket;
mod turn;

use boundary::args::keywords::suggesting;
use pyo3::prelude::*;

/// The native module. Public for `benches/dispatch.rs`, which puts it into an interpreter of its own.
#[doc(hidden)]
#[pyo3::pymodule(gil_used = true)]
pub fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    boundary::interpreter::check_main()?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    add_classes(module)?;
    #[cfg(target_os = "linux")]
    aio::install::install(module)?;
    macro_rules! functions {
        ($($path:path),* $(,)?) => { $(module.add_function(suggesting!($path, module)?)?;)* };
    }
    functions![
        functions::adopt::adopt_tcp_socket,
        boundary::args::callbacks::_check_callback,
        functions::loops::_set_loop_finder,
        functions::loops::current_event_loop,
        functions::loops::set_default_event_handler,
        functions::sockets::close_socket,
        functions::serve::close_tcp_server,
        functions::connect::connect_tcp_socket,
        functions::sockets::disable_socket,
        functions::sockets::enable_socket,
        functions::connect::init_tcp_socket,
        functions::pipe::connect_pipe_socket,
        functions::pipe::init_pipe_socket,
        functions::pipe::pipe_connect,
        functions::pipe::pipe_server,
        functions::timers::remove_interval,
        functions::sockets::set_socket_timeouts,
        functions::sockets::socket_c,
        functions::sockets::socket_closed_p,
        functions::sockets::socket_data,
        functions::connect::tcp_connect,
        functions::sockets::write_socket_data,
        functions::serve::tcp_server,
        functions::polling::free_idler,
        functions::polling::idle,
        functions::lookups::dns_lookup,
        functions::lookups::reverse_dns_lookup,
        event_loop::at_exit::_close_at_exit,
        event_loop::at_exit::_forked,
        event_loop::signals::_clear_signals,
        event_loop::signals::_free_signal,
        event_loop::signals::_handle_signal,
        functions::polling::free_poller,
        functions::polling::_poll,
        functions::timers::delay,
        functions::timers::interval,
        boundary::tls_context::_tls_client,
        boundary::tls_context::_tls_server,
    ];
    #[cfg(feature = "fault-injection")]
    functions![boundary::injection::_inject];
    Ok(())
}

fn add_classes(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<event_loop::block::LoopBlock>()?;
    module.add_class::<event_loop::object::EventLoop>()?;
    module.add_class::<event_loop::notifier::Notifier>()?;
    module.add_class::<objects::idler::Idler>()?;
    module.add_class::<objects::poller::Poller>()?;
    module.add_class::<socket::reservation::Reservation>()?;
    module.add_class::<objects::proxy_header::ProxyHeader>()?;
    module.add_class::<objects::server::TcpServer>()?;
    module.add_class::<socket::object::Socket>()?;
    module.add_class::<objects::timer::Timer>()?;
    module.add_class::<boundary::tls_context::TlsContext>()?;
    Ok(())
}
