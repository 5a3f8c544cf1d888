//! From what the I/O side tells to the condition classes of `asynctcp.conditions`.

use crate::io::Failure;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

type Class = PyOnceLock<Py<PyType>>;

static TCP_EOF: Class = PyOnceLock::new();
static TCP_TIMEOUT: Class = PyOnceLock::new();
static TCP_BUFFER_FULL: Class = PyOnceLock::new();
static TCP_BUFFER_DRAINED: Class = PyOnceLock::new();
static TCP_ACCEPT_ERROR: Class = PyOnceLock::new();
static TCP_ERROR: Class = PyOnceLock::new();
static TCP_BROKEN_PIPE: Class = PyOnceLock::new();
static DNS_ERROR: Class = PyOnceLock::new();
static SOCKET_CLOSED: Class = PyOnceLock::new();
static BIND_ERROR: Class = PyOnceLock::new();
static LOOP_ERROR: Class = PyOnceLock::new();
static FROM_ERRNO: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

fn class<'py>(py: Python<'py>, cell: &'static Class, name: &str) -> PyResult<&'static Bound<'py, PyType>>
where
    'py: 'static,
{
    cell.import(py, "asynctcp.conditions", name)
}
