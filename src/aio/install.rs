//! Puts the classes into the module.

use crate::aio::calls;
use crate::aio::datagram::object::DatagramTransport;
use crate::aio::handle_type;
use crate::aio::object::NativeLoop;
use crate::aio::stream::protocol::StreamProtocol;
use crate::aio::stream::reader::StreamReader;
use crate::aio::stream::writer::StreamWriter;
use crate::aio::tls::object::TlsTransport;
use crate::aio::transport::object::StreamTransport;
use pyo3::prelude::*;

/// When the module is made.
pub(crate) fn install(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<NativeLoop>()?;
    module.add_class::<StreamTransport>()?;
    module.add_class::<DatagramTransport>()?;
    module.add_class::<StreamReader>()?;
    module.add_class::<StreamWriter>()?;
    module.add_class::<StreamProtocol>()?;
    module.add_class::<TlsTransport>()?;
    handle_type::install(module.py())?;
    calls::install(module.py())
}
