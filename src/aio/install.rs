//! Puts the classes into the module.

use crate::aio::calls;
use crate::aio::handle_type;
use crate::aio::object::NativeLoop;
use crate::aio::transport::object::StreamTransport;
use pyo3::prelude::*;

/// When the module is made.
pub(crate) fn install(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<NativeLoop>()?;
    module.add_class::<StreamTransport>()?;
    handle_type::install(module.py())?;
    calls::install(module.py())
}
