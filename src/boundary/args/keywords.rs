//! What is said of a keyword that a function does not have: which of its own may have been meant.
//!
//! PyO3 refuses such a keyword by itself. A `**keywords` in the signature would take it instead, but then each call makes a
//! tuple and a dict of its arguments: a fifth of what a `delay` costs. So a function is put before PyO3's, which hands the call
//! on and looks at its error.

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyString};
use std::ffi::CStr;
use std::sync::OnceLock;

/// What asyncio, `socket`, `ssl` and others call it; what it is here; more of that.
const ELSEWHERE: &[(&[&str], &str, &str)] = &[
    (SSL, "tls", " (a TlsConfig)"),
    (
        FILES,
        "tls",
        " (a TlsConfig with cert_file=... and key_file=...)",
    ),
    (NAME, "tls", " (TlsConfig.client(server_name=...))"),
    (TIMEOUT, "read_timeout", ""),
    (TIMEOUT, "write_timeout", ""),
    (
        CONNECTING,
        "read_timeout",
        " (of a client it bounds connecting, too)",
    ),
    (SECONDS, "time", ""),
    (HOST, "host", ""),
    (HOST, "bind_address", ""),
    (&["local_addr", "source_address"], "local_address", ""),
    (&["sock"], "fd", ""),
    (&["limit"], "max_line", ""),
    (CALLBACK, "callback", ""),
    (CALLBACK, "read_cb", ""),
    (CALLBACK, "write_cb", ""),
    (&["on_connect", "client_connected_cb"], "connect_cb", ""),
];
const SSL: &[&str] = &["ssl", "ssl_context", "sslcontext", "context"];
const FILES: &[&str] = &["certfile", "keyfile", "cert_file", "key_file"];
const NAME: &[&str] = &["server_hostname", "server_name"];
const TIMEOUT: &[&str] = &["timeout"];
const CONNECTING: &[&str] = &["connect_timeout"];
const SECONDS: &[&str] = &["seconds", "timeout", "delay"];
const HOST: &[&str] = &["hostname", "host", "address", "addr", "bind_address"];
const CALLBACK: &[&str] = &["callback", "cb", "func"];

/// `wrap_pyfunction!`, with a function before it that says which keyword may have been meant.
macro_rules! suggesting {
    ($path:path, $module:expr) => {{
        static ORIGINAL: $crate::boundary::args::keywords::Original =
            $crate::boundary::args::keywords::Original::new();
        unsafe extern "C" fn before(
            module: *mut pyo3::ffi::PyObject,
            arguments: *const *mut pyo3::ffi::PyObject,
            count: pyo3::ffi::Py_ssize_t,
            keywords: *mut pyo3::ffi::PyObject,
        ) -> *mut pyo3::ffi::PyObject {
            // SAFETY: they are the interpreter's, as it calls functions of this kind.
            unsafe { ORIGINAL.call(module, arguments, count, keywords) }
        }
        pyo3::wrap_pyfunction!($path, $module).and_then(|function| ORIGINAL.put(before, function))
    }};
}
pub(crate) use suggesting;

/// A function of PyO3's that another is put before.
pub struct Original(OnceLock<Method>);

struct Method {
    call: ffi::PyCFunctionFastWithKeywords,
    name: &'static CStr,
    /// It begins with the signature.
    doc: &'static CStr,
}

impl Original {
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// The same function to Python, but that calls go to `before`. `function` as it is where it takes no keywords.
    pub fn put<'py>(
        &self,
        before: ffi::PyCFunctionFastWithKeywords,
        function: Bound<'py, PyCFunction>,
    ) -> PyResult<Bound<'py, PyCFunction>> {
        let object = function.as_ptr().cast::<ffi::PyCFunctionObject>();
        // SAFETY: it is a function object, whose method lives as long as the process: PyO3 has it in a static. So do its texts.
        // The flags say which kind of call it has.
        let (method, module, name) = unsafe {
            let method = &*(*object).m_ml;
            if method.ml_flags != ffi::METH_FASTCALL | ffi::METH_KEYWORDS {
                return Ok(function);
            }
            self.0.get_or_init(|| Method {
                call: method.ml_meth.PyCFunctionFastWithKeywords,
                name: CStr::from_ptr(method.ml_name),
                doc: CStr::from_ptr(method.ml_doc),
            });
            (method, (*object).m_self, (*object).m_module)
        };
        let method = Box::leak(Box::new(ffi::PyMethodDef {
            ml_meth: ffi::PyMethodDefPointer {
                PyCFunctionFastWithKeywords: before,
            },
            ..*method
        }));
        // SAFETY: the method is there for ever, and the module and its name are those of a function that is alive.
        let made = unsafe {
            let made = ffi::PyCFunction_NewEx(method, module, name);
            Bound::from_owned_ptr_or_err(function.py(), made)?
        };
        Ok(made.cast_into::<PyCFunction>()?)
    }

    /// Calls it.
    ///
    /// # Safety
    ///
    /// The arguments are those that the interpreter calls `before` with.
    pub unsafe fn call(
        &self,
        module: *mut ffi::PyObject,
        arguments: *const *mut ffi::PyObject,
        count: ffi::Py_ssize_t,
        keywords: *mut ffi::PyObject,
    ) -> *mut ffi::PyObject {
        // Never: it is called by what `put` made.
        let Some(method) = self.0.get() else {
            return std::ptr::null_mut();
        };
        // SAFETY: as the caller says.
        let answer = unsafe { (method.call)(module, arguments, count, keywords) };
        if answer.is_null() && !keywords.is_null() {
            // SAFETY: a call is made with the interpreter's lock held.
            unsafe {
                // Asked first, for taking a panic's exception would go on with the panic, and nothing may unwind out of here.
                if ffi::PyErr_ExceptionMatches(ffi::PyExc_TypeError) != 0 {
                    Python::attach(|py| method.explain(py));
                }
            }
        }
        answer
    }
}

impl Method {
    /// Adds to the error that is raised what may have been meant, if a keyword was not known.
    #[cold]
    fn explain(&self, py: Python<'_>) {
        let Some(error) = PyErr::take(py) else {
            return;
        };
        if !error.get_type(py).is(py.get_type::<PyTypeError>()) {
            // One of the app's own, from a call of an argument's method.
            return error.restore(py);
        }
        // Plain text, as the interpreter's own are: asked for its `str`, an argument of the app's might run code of the app's.
        let arguments = error.value(py).getattr(intern!(py, "args"));
        let first = arguments.and_then(|arguments| arguments.get_item(0)).ok();
        let first = first.and_then(|first| first.cast_into_exact::<PyString>().ok());
        let text = first.as_ref().and_then(|text| text.to_str().ok());
        let text = text.unwrap_or_default();
        let name = self.name.to_string_lossy();
        let refusal = format!("{name}() got an unexpected keyword argument '");
        let meant = text
            .strip_prefix(&refusal)
            .and_then(|rest| rest.strip_suffix('\''))
            .and_then(|word| meant_by(word, &self.parameters()));
        match meant {
            Some(meant) => PyTypeError::new_err(format!("{text}. Did you mean {meant}?")),
            None => error,
        }
        .restore(py);
    }

    fn parameters(&self) -> Vec<&'static str> {
        let signature = self.doc.to_str().unwrap_or("").split_once(")\n--");
        let listed = signature.and_then(|(signature, _)| signature.split_once('('));
        listed.map_or(Vec::new(), |(_, listed)| {
            let names = listed.split(", ").filter_map(|one| one.split('=').next());
            names.filter(|name| *name != "*").collect()
        })
    }
}

/// The parameter that `word` may stand for.
fn meant_by(word: &str, parameters: &[&str]) -> Option<String> {
    let known: Vec<_> = ELSEWHERE
        .iter()
        .filter(|(words, here, _)| words.contains(&word) && parameters.contains(here))
        .map(|(_, here, more)| format!("'{here}'{more}"))
        .collect();
    if !known.is_empty() {
        return Some(known.join(" or "));
    }
    let (away, nearest) = parameters
        .iter()
        .map(|parameter| (distance(word, parameter), parameter))
        .min_by_key(|(away, _)| *away)?;
    (away <= (word.len() / 3).max(1)).then(|| format!("'{nearest}'"))
}

/// How many letters are to be put in, left out or changed to make one of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (done, letter) in one.bytes().enumerate() {
        let mut before = row[0];
        row[0] = done + 1;
        for (at, wanted) in other.bytes().enumerate() {
            let changed = before + usize::from(letter != wanted);
            before = row[at + 1];
            row[at + 1] = changed.min(before + 1).min(row[at] + 1);
        }
    }
    row[other.len()]
}
