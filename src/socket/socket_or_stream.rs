//! An argument that is a socket, or a stream, which stands for its socket.

use crate::boundary::args::refusal::{hidden, wrong_type};
use crate::socket::object::Socket;
use pyo3::prelude::*;

/// The socket; `name`: of the argument.
pub fn socket<'py>(name: &str, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Socket>> {
    if let Ok(socket) = value.cast::<Socket>() {
        return Ok(socket.clone());
    }
    let wrong = || wrong_type(name, "a Socket or an AsyncIOStream", value);
    let below = value
        .getattr("socket")
        .map_err(|error| hidden(value.py(), error, wrong))?;
    below.cast_into::<Socket>().map_err(|_| wrong())
}
