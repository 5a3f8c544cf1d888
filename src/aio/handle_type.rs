//! The types of `handle.rs` as Python sees them: attributes, methods, and what `isinstance` finds.

use crate::aio::handle::{self, HANDLE, Handle, Object, TIMER_HANDLE, answer};
use crate::boundary::call::Method;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBool;
use std::ffi::{CStr, c_int, c_void};
use std::ptr::{null, null_mut};
use std::sync::atomic::Ordering::Relaxed;

/// Makes the types.
pub(crate) fn install(py: Python<'_>) -> PyResult<()> {
    HANDLE.store(make(py, c"asynctcp._core.Handle", None)?, Relaxed);
    let timer = make(py, c"asynctcp._core.TimerHandle", Some(compare))?;
    TIMER_HANDLE.store(timer, Relaxed);
    Ok(())
}

fn make(
    py: Python<'_>,
    name: &'static CStr,
    comparison: Option<ffi::richcmpfunc>,
) -> PyResult<*mut ffi::PyTypeObject> {
    // They live as long as the types: for ever.
    let methods = methods(comparison.is_some()).leak();
    let attributes = attributes().leak();
    let members = Box::leak(Box::new(members()));
    let slot = |slot: c_int, function: *mut c_void| ffi::PyType_Slot {
        slot,
        pfunc: function,
    };
    let mut slots = vec![
        slot(ffi::Py_tp_dealloc, handle::deallocate as *mut c_void),
        slot(ffi::Py_tp_traverse, handle::traverse as *mut c_void),
        slot(ffi::Py_tp_clear, handle::clear_cycle as *mut c_void),
        slot(ffi::Py_tp_repr, repr as *mut c_void),
        slot(ffi::Py_tp_methods, methods.as_mut_ptr().cast()),
        slot(ffi::Py_tp_getset, attributes.as_mut_ptr().cast()),
        slot(ffi::Py_tp_members, members.as_mut_ptr().cast()),
    ];
    if let Some(comparison) = comparison {
        slots.push(slot(ffi::Py_tp_richcompare, comparison as *mut c_void));
        slots.push(slot(ffi::Py_tp_hash, hash as *mut c_void));
    }
    slots.push(slot(0, null_mut()));
    let flags = ffi::Py_TPFLAGS_DEFAULT
        | ffi::Py_TPFLAGS_HAVE_GC
        | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION
        | ffi::Py_TPFLAGS_IMMUTABLETYPE;
    let mut spec = ffi::PyType_Spec {
        name: name.as_ptr(),
        basicsize: size_of::<Handle>() as c_int,
        itemsize: 0,
        // The flags are below the 32nd bit.
        flags: flags as _,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: the slots are of the types that their numbers say; what the type keeps of them was leaked.
    let made = unsafe { ffi::PyType_FromSpec(&raw mut spec) };
    if made.is_null() {
        return Err(PyErr::fetch(py));
    }
    Ok(made.cast())
}

/// With the end of the list. Only timers have `when()`.
fn methods(timer: bool) -> Vec<ffi::PyMethodDef> {
    let method =
        |name: &'static CStr, function: ffi::PyCFunction, doc: &'static CStr| ffi::PyMethodDef {
            ml_name: name.as_ptr(),
            ml_meth: ffi::PyMethodDefPointer {
                PyCFunction: function,
            },
            ml_flags: ffi::METH_NOARGS,
            ml_doc: doc.as_ptr(),
        };
    let mut methods = vec![
        method(c"cancel", cancel, c"It is not called any more."),
        method(c"cancelled", cancelled, c"Whether it was cancelled."),
        method(
            c"get_context",
            context,
            c"The context that it is called in.",
        ),
        method(c"_run", run, c"Call it now."),
    ];
    if timer {
        methods.push(method(
            c"when",
            when,
            c"When it is due, by the loop's clock.",
        ));
    }
    methods.push(ffi::PyMethodDef::zeroed());
    methods
}

fn attributes() -> Vec<ffi::PyGetSetDef> {
    let attribute = |name: &'static CStr, function: ffi::getter| ffi::PyGetSetDef {
        name: name.as_ptr(),
        get: Some(function),
        ..ffi::PyGetSetDef::default()
    };
    vec![
        attribute(c"__class__", class),
        attribute(c"_when", when_attribute),
        attribute(c"_cancelled", is_cancelled),
        attribute(c"_scheduled", is_scheduled),
        attribute(c"_callback", callback),
        attribute(c"_args", arguments),
        attribute(c"_context", context_attribute),
        attribute(c"_loop", event_loop),
        attribute(c"_source_traceback", nothing),
        ffi::PyGetSetDef::default(),
    ]
}

/// `weakref.ref` finds its place by this.
fn members() -> [ffi::PyMemberDef; 2] {
    let place = ffi::PyMemberDef {
        name: c"__weaklistoffset__".as_ptr(),
        type_code: ffi::Py_T_PYSSIZET,
        offset: std::mem::offset_of!(Handle, weak_references) as ffi::Py_ssize_t,
        flags: ffi::Py_READONLY,
        doc: null(),
    };
    [place, ffi::PyMemberDef::default()]
}

type Unused = *mut c_void;

/// A new reference to it, or None.
///
/// # Safety
///
/// It is alive, or null.
unsafe fn or_none(object: Object) -> Object {
    // SAFETY: the interpreter's lock is held, and the caller's object alive if it is one.
    unsafe {
        let object = if object.is_null() {
            ffi::Py_None()
        } else {
            object
        };
        ffi::Py_NewRef(object)
    }
}

macro_rules! entries {
    ($($name:ident($other:ty) |$py:ident, $object:ident, $me:ident| $body:expr;)*) => { $(
        /// # Safety
        ///
        /// The interpreter calls it, on a handle.
        unsafe extern "C" fn $name(object: Object, _: $other) -> Object {
            // SAFETY: the interpreter calls it with its lock held, and a handle that is alive.
            #[allow(unused_variables)]
            unsafe {
                let $py = Python::assume_attached();
                let $object = Bound::from_borrowed_ptr($py, object);
                let $me = object.cast::<Handle>();
                $body
            }
        }
    )* };
}

entries! {
    cancel(Object) |py, object, me| {
        handle::cancel(&object);
        or_none(null_mut())
    };
    cancelled(Object) |py, object, me| ffi::PyBool_FromLong((*me).is_cancelled.into());
    context(Object) |py, object, me| or_none((*me).context);
    run(Object) |py, object, me| answer(run_and_tell(py, &object).map(|()| py.None()));
    when(Object) |py, object, me| ffi::PyFloat_FromDouble((*me).when);
    when_attribute(Unused) |py, object, me| ffi::PyFloat_FromDouble((*me).when);
    is_cancelled(Unused) |py, object, me| ffi::PyBool_FromLong((*me).is_cancelled.into());
    is_scheduled(Unused) |py, object, me| ffi::PyBool_FromLong((*me).is_scheduled.into());
    callback(Unused) |py, object, me| or_none((*me).callback);
    arguments(Unused) |py, object, me| {
        answer(handle::arguments(py, me).map(|arguments| arguments.unwrap_or_else(|| py.None())))
    };
    context_attribute(Unused) |py, object, me| or_none((*me).context);
    event_loop(Unused) |py, object, me| or_none((*me).owner);
    nothing(Unused) |py, object, me| or_none(null_mut());
    class(Unused) |py, object, me| answer(class_of(py, &object));
}

/// As asyncio's own, which raises nothing but what ends a program: the loop's handler is told of the rest.
fn run_and_tell(py: Python<'_>, object: &Bound<'_, PyAny>) -> PyResult<()> {
    let result = handle::run(py, object);
    let owner = handle::owner(object);
    match (result, owner) {
        (Err(error), Some(owner)) => handle::tell_of(&owner, object, error),
        (result, _) => result,
    }
}

/// asyncio's own: programs ask `isinstance`.
fn class_of(py: Python<'_>, object: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    static CLASSES: PyOnceLock<[Py<PyAny>; 2]> = PyOnceLock::new();
    let classes = CLASSES.get_or_try_init(py, || {
        let asyncio = py.import("asyncio")?;
        let named = |name| asyncio.getattr(name).map(Bound::unbind);
        PyResult::Ok([named("Handle")?, named("TimerHandle")?])
    })?;
    Ok(classes[usize::from(is_timer(object))].clone_ref(py))
}

fn is_timer(object: &Bound<'_, PyAny>) -> bool {
    object.get_type().as_type_ptr() == TIMER_HANDLE.load(Relaxed)
}

/// # Safety
///
/// The interpreter calls it, on a handle.
unsafe extern "C" fn repr(object: Object) -> Object {
    // SAFETY: the interpreter calls it with its lock held, and a handle that is alive.
    let object = unsafe { Bound::from_borrowed_ptr(Python::assume_attached(), object) };
    let described = object
        .py()
        .import("asynctcp.aio._handles")
        .and_then(|module| module.method("describe", (&object,)));
    answer(described.map(Bound::unbind))
}

/// As asyncio's: timers are in order by when they are due, and equal where also what they call is.
///
/// # Safety
///
/// The interpreter calls it, on a timer and any other object.
unsafe extern "C" fn compare(object: Object, other: Object, operation: c_int) -> Object {
    // SAFETY: the interpreter calls it with its lock held, and two objects that are alive, the first of them a timer.
    unsafe {
        let py = Python::assume_attached();
        let (object, other) = (
            Bound::from_borrowed_ptr(py, object),
            Bound::from_borrowed_ptr(py, other),
        );
        if !is_timer(&other) {
            return or_not_implemented();
        }
        let (mine, theirs) = (
            (*object.as_ptr().cast::<Handle>()).when,
            (*other.as_ptr().cast::<Handle>()).when,
        );
        let same = || are_equal(py, &object, &other);
        let result = match operation {
            ffi::Py_LT => Ok(mine < theirs),
            ffi::Py_LE if mine < theirs => Ok(true),
            ffi::Py_GT => Ok(mine > theirs),
            ffi::Py_GE if mine > theirs => Ok(true),
            ffi::Py_NE => same().map(|same| !same),
            _ => same(),
        };
        answer(result.map(|result| PyBool::new(py, result).to_owned().into_any().unbind()))
    }
}

/// # Safety
///
/// Both are timers.
unsafe fn are_equal(
    py: Python<'_>,
    object: &Bound<'_, PyAny>,
    other: &Bound<'_, PyAny>,
) -> PyResult<bool> {
    let (mine, theirs) = (object.as_ptr().cast(), other.as_ptr().cast());
    // SAFETY: both are handles and alive, and what is compared, by any Python code, is owned.
    unsafe {
        let known = |handle: *mut Handle| (((*handle).when), (*handle).is_cancelled);
        if known(mine) != known(theirs) {
            return Ok(false);
        }
        let called = |handle: *mut Handle| Bound::from_owned_ptr(py, or_none((*handle).callback));
        let given = |handle: *mut Handle| handle::arguments(py, handle);
        let arguments = (given(mine)?, given(theirs)?);
        if !called(mine).eq(called(theirs))? {
            return Ok(false);
        }
        match arguments {
            (Some(mine), Some(theirs)) => mine.bind(py).eq(theirs.bind(py)),
            (mine, theirs) => Ok(mine.is_none() == theirs.is_none()),
        }
    }
}

fn or_not_implemented() -> Object {
    // SAFETY: the interpreter's lock is held.
    unsafe { ffi::Py_NewRef(ffi::Py_NotImplemented()) }
}

/// # Safety
///
/// The interpreter calls it, on a timer.
unsafe extern "C" fn hash(object: Object) -> ffi::Py_hash_t {
    // SAFETY: the interpreter calls it with its lock held, and a handle that is alive.
    unsafe {
        let when = ffi::PyFloat_FromDouble((*object.cast::<Handle>()).when);
        if when.is_null() {
            return -1;
        }
        let hash = ffi::PyObject_Hash(when);
        ffi::Py_DECREF(when);
        hash
    }
}
