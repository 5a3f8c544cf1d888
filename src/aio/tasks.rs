//! Making tasks and futures, without the Python frames that asyncio's own methods are.

use crate::aio::futures;
use crate::aio::handle::{Object, answer};
use crate::aio::object::NativeLoop;
use crate::boundary::call::vectorcall_on;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyModule, PyString, PyTuple};
use std::slice;

/// More arguments than so are asyncio's to refuse.
const MOST: usize = 4;

/// `create_task(coro, *, name=None, context=None)`.
///
/// # Safety
///
/// The interpreter calls it, as a method of the class.
pub(super) unsafe extern "C" fn create_task(
    slf: Object,
    arguments: *const Object,
    count: ffi::Py_ssize_t,
    names: Object,
) -> Object {
    // SAFETY: the interpreter calls it with its lock held, on an object of the class, with so many arguments, a value for each name
    // behind them.
    unsafe {
        let py = Python::assume_attached();
        let event_loop = Bound::from_borrowed_ptr(py, slf).cast_into_unchecked::<NativeLoop>();
        let names = Bound::from_borrowed_ptr_or_opt(py, names);
        let names = names.map(|names| names.cast_into_unchecked::<PyTuple>());
        let named = names.as_ref().map_or(0, |names| names.len());
        let count = count as usize;
        let values = if arguments.is_null() {
            &[][..]
        } else {
            slice::from_raw_parts(arguments, count + named)
        };
        answer(task(&event_loop, values, count, names.as_ref()).map(Bound::unbind))
    }
}

/// `create_future()`.
///
/// # Safety
///
/// The interpreter calls it, as a method of the class.
pub(super) unsafe extern "C" fn create_future(slf: Object, _: Object) -> Object {
    // SAFETY: the interpreter calls it with its lock held, on an object that is alive.
    let event_loop = unsafe { Bound::from_borrowed_ptr(Python::assume_attached(), slf) };
    answer(futures::make(&event_loop).map(Bound::unbind))
}

/// `get_debug()`, which each task and future asks for.
///
/// # Safety
///
/// The interpreter calls it, as a method of the class.
pub(super) unsafe extern "C" fn get_debug(slf: Object, _: Object) -> Object {
    // SAFETY: the same; it is an object of the class.
    unsafe {
        let event_loop = Bound::from_borrowed_ptr(Python::assume_attached(), slf)
            .cast_into_unchecked::<NativeLoop>();
        ffi::PyBool_FromLong(event_loop.get().state.is_debug().into())
    }
}

/// `values`: `count` of them, then one for each name; borrowed.
fn task<'py>(
    event_loop: &Bound<'py, NativeLoop>,
    values: &[Object],
    count: usize,
    names: Option<&Bound<'py, PyTuple>>,
) -> PyResult<Bound<'py, PyAny>> {
    static TASKS: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let (py, me) = (event_loop.py(), event_loop.get());
    let is_plain = count == 1
        && values.len() < MOST
        && names.is_none_or(|names| names.iter().all(|name| is_known(&name)))
        && !me.state.is_debug()
        && event_loop.getattr(intern!(py, "_task_factory"))?.is_none();
    if !is_plain {
        return by_asyncio(event_loop, values, count, names);
    }
    me.check_open()?;
    let tasks = TASKS.get_or_try_init(py, || py.import("asyncio.tasks").map(Bound::unbind))?;
    // Asked for each time: programs' tests put another in its place.
    let class = tasks.bind(py).getattr(intern!(py, "Task"))?;
    // There is room for one more: it is plain.
    let mut all = [std::ptr::null_mut(); MOST];
    all[..values.len()].copy_from_slice(values);
    all[values.len()] = event_loop.as_ptr();
    let names = names_and_loop(py, names)?;
    // SAFETY: one argument, then a value for each name; all live as long as the call.
    unsafe { vectorcall_on(&class, all.as_ptr(), count, names.as_ptr()) }
}

fn is_known(name: &Bound<'_, PyAny>) -> bool {
    let known = |known: &str| {
        name.cast::<PyString>()
            .is_ok_and(|name| name.to_str().is_ok_and(|name| name == known))
    };
    known("name") || known("context")
}

/// The names, and `loop` behind them.
fn names_and_loop<'py>(
    py: Python<'py>,
    names: Option<&Bound<'py, PyTuple>>,
) -> PyResult<Bound<'py, PyTuple>> {
    let Some(names) = names else {
        return futures::name_of_loop(py).cloned();
    };
    let all = names.iter().chain([intern!(py, "loop").clone().into_any()]);
    PyTuple::new(py, all.collect::<Vec<_>>())
}

/// With a task factory, in debug mode, and where something is wrong.
#[cold]
fn by_asyncio<'py>(
    event_loop: &Bound<'py, NativeLoop>,
    values: &[Object],
    count: usize,
    names: Option<&Bound<'py, PyTuple>>,
) -> PyResult<Bound<'py, PyAny>> {
    static CREATE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = event_loop.py();
    let create = CREATE.get_or_try_init(py, || {
        let class = py.import("asyncio.base_events")?.getattr("BaseEventLoop")?;
        class.getattr("create_task").map(Bound::unbind)
    })?;
    let all: Vec<Object> = [event_loop.as_ptr()]
        .into_iter()
        .chain(values.iter().copied())
        .collect();
    let names = names.map_or(std::ptr::null_mut(), Bound::as_ptr);
    // SAFETY: the loop, then what was given; all live as long as the call.
    unsafe { vectorcall_on(create.bind(py), all.as_ptr(), count + 1, names) }
}
