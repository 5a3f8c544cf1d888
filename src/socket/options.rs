//! TCP options, remembered until there is a connection.

use crate::io::failure::Failure;
use crate::socket::object::Socket;
use crate::socket::tcp_option::TcpOption;

/// Sets `option` now, or once connected.
pub fn set(socket: &Socket, option: TcpOption) -> Result<(), Failure> {
    match socket.link.wire() {
        Some(wire) => {
            // Those of before come first, though the loop has not heard of the connection yet.
            apply_pending(socket)?;
            option.apply(&wire)
        }
        None => {
            socket
                .state
                .lock()
                .extras_mut()
                .pending_options
                .push(option);
            Ok(())
        }
    }
}

/// The connection is there: applies what was wanted before, in order.
pub fn apply_pending(socket: &Socket) -> Result<(), Failure> {
    let pending = {
        let mut state = socket.state.lock();
        if state.extras().is_none() {
            return Ok(());
        }
        std::mem::take(&mut state.extras_mut().pending_options)
    };
    match socket.link.wire() {
        Some(wire) => pending.iter().try_for_each(|option| option.apply(&wire)),
        None => Ok(()),
    }
}
