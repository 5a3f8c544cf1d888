//! The system's errors as Python's: each `OSError` that is raised has `errno` and `strerror`, and the class that goes with
//! it.
//!
//! PyO3 makes of an `io::Error` an `OSError` that has a text only. So what may fail in the system returns a [`Failure`],
//! of which `?` makes the right one; `tools/check_errors.sh` looks for others.

use crate::io::failure::Failure;
use crate::io::failure::words;
use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::prelude::*;

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        match failure {
            // As Python's own threads say it.
            Failure::NoThread => PyRuntimeError::new_err(failure.message()),
            // By the number Python finds the class.
            Failure::Os(ref error) => PyOSError::new_err((failure.code(), words(error))),
            _ => PyOSError::new_err((failure.code(), failure.message())),
        }
    }
}
