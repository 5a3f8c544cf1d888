//! The keyword `max_line`: most bytes of a line of a stream.

use crate::boundary::args;
use pyo3::prelude::*;

/// Where nothing is said.
const USUAL: usize = 65_536;

/// What the app said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MaxLine {
    /// Nothing.
    #[default]
    Usual,
    /// A number of bytes.
    Bytes(usize),
    /// None: no limit.
    None,
}

impl MaxLine {
    /// Most bytes of a line, and whether the app said so.
    pub fn limit(self) -> (usize, bool) {
        match self {
            Self::Usual => (USUAL, false),
            Self::Bytes(most) => (most, true),
            Self::None => (usize::MAX >> 1, true),
        }
    }
}

impl<'py> FromPyObject<'_, 'py> for MaxLine {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let most = args::optional_whole("max_line", Some(&value), 1)?;
        Ok(most.map_or(Self::None, Self::Bytes))
    }
}
