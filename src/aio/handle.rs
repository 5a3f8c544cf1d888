//! A call that waits for its turn: what asyncio's `Handle` and `TimerHandle` are, in native memory.
//!
//! One is made for each `call_soon`, so it is an object of the C API's own kind, with its arguments in itself and taken from a list of
//! free ones: made as a class of PyO3, a chain of calls took a third longer.

use crate::aio::gil::Gil;
use crate::boundary::call::{Method, call, vectorcall_at};
use crate::boundary::exception;
use pyo3::exceptions::{PyKeyboardInterrupt, PyMemoryError, PySystemExit};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::cell::Cell;
use std::ptr::{NonNull, null, null_mut};
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

pub(crate) type Object = *mut ffi::PyObject;

/// So many arguments are kept in the handle itself, more in a tuple.
const INLINE: usize = 3;
/// So many free handles are kept, 128 bytes each.
const FREE: usize = 4096;
/// So many are dropped one within the other.
const NESTED: usize = 50;

/// See the module's page. All its references are strong; null where there is none.
#[repr(C)]
pub(crate) struct Handle {
    pub(super) base: ffi::PyObject,
    pub(super) weak_references: Object,
    pub(super) owner: Object,
    pub(super) callback: Object,
    pub(super) context: Object,
    /// The first is the callee's to use, as vectorcall has it.
    places: [Object; 1 + INLINE],
    more: Object,
    count: usize,
    /// On the clock of the loop, in seconds.
    pub(super) when: f64,
    /// Where cancelled timers are counted; it belongs to `owner`.
    cancelled_timers: *const Cell<usize>,
    pub(super) is_cancelled: bool,
    /// It waits for its time.
    pub(super) is_scheduled: bool,
    /// A descriptor's: called again and again.
    repeats: bool,
    is_running: bool,
}

/// What a handle is made for.
pub(crate) struct Owner<'a> {
    pub(crate) event_loop: Object,
    pub(crate) cancelled_timers: &'a Cell<usize>,
}

/// What is to be called: borrowed references, of which the arguments lie one after another.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    pub(crate) callback: Object,
    pub(crate) arguments: *const Object,
    pub(crate) count: usize,
    /// Null: a copy of the current one.
    pub(crate) context: Object,
}

/// When it is to be called.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Time {
    Soon,
    At(f64),
    /// Whenever a descriptor is ready.
    Ready,
}

/// The types, once they are made (`handle_type.rs`).
pub(super) static HANDLE: AtomicPtr<ffi::PyTypeObject> = AtomicPtr::new(null_mut());
pub(super) static TIMER_HANDLE: AtomicPtr<ffi::PyTypeObject> = AtomicPtr::new(null_mut());

/// Free handles: memory of the size of one, which the collector does not know.
struct FreeList(Vec<*mut Handle>);

// SAFETY: the memory belongs to nobody else, and the interpreter's lock guards the list.
unsafe impl Send for FreeList {}

static FREE_HANDLES: Gil<FreeList> = Gil::new(FreeList(Vec::new()));

/// Makes one: a new reference.
pub(crate) fn make<'py>(
    py: Python<'py>,
    owner: &Owner<'_>,
    call: Call,
    time: Time,
) -> PyResult<Bound<'py, PyAny>> {
    let context = if call.context.is_null() {
        // SAFETY: the interpreter's lock is held.
        unsafe { ffi::PyContext_CopyCurrent() }
    } else {
        // SAFETY: the caller has a reference.
        unsafe { ffi::Py_NewRef(call.context) }
    };
    if context.is_null() {
        return Err(PyErr::fetch(py));
    }
    let handle = allocate(py, time);
    if handle.is_null() {
        // SAFETY: it was made above.
        unsafe { ffi::Py_DECREF(context) };
        return Err(PyMemoryError::new_err(()));
    }
    // SAFETY: the memory is a handle's and nobody else's yet; the caller has references to what is called and to the loop, to which
    // the counter belongs.
    unsafe {
        (*handle).weak_references = null_mut();
        (*handle).owner = ffi::Py_NewRef(owner.event_loop);
        (*handle).callback = ffi::Py_NewRef(call.callback);
        (*handle).context = context;
        (*handle).more = null_mut();
        (*handle).count = 0;
        (*handle).when = 0.0;
        (*handle).cancelled_timers = owner.cancelled_timers;
        (*handle).is_cancelled = false;
        (*handle).is_scheduled = false;
        (*handle).repeats = time == Time::Ready;
        (*handle).is_running = false;
        if let Time::At(when) = time {
            (*handle).when = when;
            (*handle).is_scheduled = true;
        }
        let kept = keep_arguments(handle, call);
        ffi::PyObject_GC_Track(handle.cast());
        let made = Bound::from_owned_ptr(py, handle.cast());
        if kept {
            Ok(made)
        } else {
            Err(PyErr::fetch(py))
        }
    }
}

/// An object with nothing but its base set. Null: no memory.
fn allocate(py: Python<'_>, time: Time) -> *mut Handle {
    let which = if matches!(time, Time::At(_)) {
        &TIMER_HANDLE
    } else {
        &HANDLE
    };
    let which = which.load(Relaxed);
    match FREE_HANDLES.with(py, |free| free.0.pop()) {
        // SAFETY: memory of a handle's size that nobody uses.
        Some(handle) => unsafe { ffi::PyObject_Init(handle.cast(), which).cast() },
        // SAFETY: the type is made with the module, and says how large its objects are.
        None => unsafe { ffi::PyObject_GC_New::<Handle>(which) },
    }
}

/// False: an exception is set.
///
/// # Safety
///
/// The handle is new, and the caller has references to the arguments.
unsafe fn keep_arguments(handle: *mut Handle, call: Call) -> bool {
    // SAFETY: see above.
    unsafe {
        if call.count <= INLINE {
            for number in 0..call.count {
                (*handle).places[1 + number] = ffi::Py_NewRef(*call.arguments.add(number));
            }
            (*handle).count = call.count;
            return true;
        }
        let tuple = ffi::PyTuple_New(call.count as ffi::Py_ssize_t);
        if tuple.is_null() {
            return false;
        }
        for number in 0..call.count {
            let argument = ffi::Py_NewRef(*call.arguments.add(number));
            ffi::PyTuple_SET_ITEM(tuple, number as ffi::Py_ssize_t, argument);
        }
        (*handle).more = tuple;
        true
    }
}

/// Whether it is one of these, and not asyncio's own or anything else.
#[inline(always)]
pub(crate) fn of(object: &Bound<'_, PyAny>) -> Option<*mut Handle> {
    let pointer = object.as_ptr();
    // SAFETY: the object is alive.
    let kind = unsafe { ffi::Py_TYPE(pointer) };
    (kind == HANDLE.load(Relaxed) || kind == TIMER_HANDLE.load(Relaxed)).then_some(pointer.cast())
}

/// Whether it was cancelled.
#[inline(always)]
pub(crate) fn is_cancelled(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: the object is alive, and a handle.
    of(object).is_some_and(|handle| unsafe { (*handle).is_cancelled })
}

/// It no longer waits for its time.
pub(crate) fn unschedule(object: &Bound<'_, PyAny>) {
    if let Some(handle) = of(object) {
        // SAFETY: the object is alive, and a handle.
        unsafe { (*handle).is_scheduled = false };
    }
}

/// Calls what it was made for, in its context, unless it is cancelled. Raises what that raises.
#[inline]
pub(crate) fn run(py: Python<'_>, handle: &Bound<'_, PyAny>) -> PyResult<()> {
    let Some(me) = of(handle) else {
        return handle.method("_run", ()).map(drop);
    };
    // SAFETY: `handle` keeps it, and with `is_running` nobody takes what it refers to until the call is over.
    unsafe {
        if (*me).is_cancelled || (*me).callback.is_null() {
            return Ok(());
        }
        let nested = std::mem::replace(&mut (*me).is_running, true);
        let result = call_in_context(py, me);
        (*me).is_running = nested;
        if (*me).is_cancelled {
            clear(me);
        }
        result
    }
}

/// Its loop. None: it is part of a cycle that was collected.
pub(crate) fn owner<'py>(handle: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
    let me = of(handle)?;
    // SAFETY: the object is alive, and a handle, whose reference to the loop is strong.
    unsafe { Bound::from_borrowed_ptr_or_opt(handle.py(), (*me).owner) }
}

/// An exception of a callback is the exception handler's, but for those that end a program.
#[cold]
pub(crate) fn tell_of<'py>(
    event_loop: &Bound<'py, PyAny>,
    handle: &Bound<'py, PyAny>,
    error: PyErr,
) -> PyResult<()> {
    let py = event_loop.py();
    if error.is_instance_of::<PySystemExit>(py) || error.is_instance_of::<PyKeyboardInterrupt>(py) {
        return Err(error);
    }
    event_loop
        .method("_callback_failed", (handle, exception::value(py, &error)))
        .map(drop)
}

/// It was called and will not be again: what it refers to is dropped now, although somebody keeps it.
#[inline]
pub(crate) fn finish(handle: &Bound<'_, PyAny>) {
    if let Some(me) = of(handle) {
        // SAFETY: the object is alive, and a handle.
        unsafe {
            if !(*me).repeats && !(*me).is_running {
                clear(me);
            }
        }
    }
}

/// # Safety
///
/// The handle is alive and `is_running`.
#[inline]
unsafe fn call_in_context(py: Python<'_>, me: *mut Handle) -> PyResult<()> {
    // SAFETY: the handle's references are strong, and stay until the call is over.
    unsafe {
        let context = (*me).context;
        if ffi::PyContext_Enter(context) < 0 {
            return Err(PyErr::fetch(py));
        }
        let result = if (*me).more.is_null() {
            let arguments = (&raw mut (*me).places).cast::<Object>().add(1);
            vectorcall_at(py, (*me).callback, arguments, (*me).count)
        } else {
            let arguments = Bound::from_borrowed_ptr(py, (*me).more);
            let callback = Bound::from_borrowed_ptr(py, (*me).callback);
            call(&callback, arguments.cast_unchecked::<PyTuple>())
        };
        let left = ffi::PyContext_Exit(context);
        let result = result.map(drop);
        if left < 0 && result.is_ok() {
            return Err(PyErr::fetch(py));
        }
        result
    }
}

/// As asyncio's: it is not called any more.
pub(crate) fn cancel(handle: &Bound<'_, PyAny>) {
    let Some(me) = of(handle) else {
        return;
    };
    // SAFETY: the object is alive, and a handle; its loop, to which the counter belongs, is kept by it.
    unsafe {
        if (*me).is_cancelled {
            return;
        }
        (*me).is_cancelled = true;
        if (*me).is_scheduled && !(*me).owner.is_null() {
            let count = &*(*me).cancelled_timers;
            count.set(count.get() + 1);
        }
        if !(*me).is_running {
            clear(me);
        }
    }
}

/// Drops what is called, but not the loop.
///
/// # Safety
///
/// The handle is alive, and not running.
pub(super) unsafe fn clear(me: *mut Handle) {
    // SAFETY: each reference is taken out before it is dropped, for that may run code which comes here again.
    unsafe {
        let callback = std::mem::replace(&mut (*me).callback, null_mut());
        let context = std::mem::replace(&mut (*me).context, null_mut());
        let more = std::mem::replace(&mut (*me).more, null_mut());
        let count = std::mem::replace(&mut (*me).count, 0);
        let places = (*me).places;
        ffi::Py_XDECREF(callback);
        ffi::Py_XDECREF(context);
        ffi::Py_XDECREF(more);
        for argument in &places[1..=count] {
            ffi::Py_DECREF(*argument);
        }
    }
}

/// Its arguments as a tuple; None: it refers to nothing any more.
pub(super) fn arguments(py: Python<'_>, me: *mut Handle) -> PyResult<Option<Py<PyAny>>> {
    // SAFETY: whoever asks has a reference to the handle, and what it refers to is there as long as `callback` is.
    unsafe {
        if (*me).callback.is_null() {
            return Ok(None);
        }
        if !(*me).more.is_null() {
            return Ok(Some(Bound::from_borrowed_ptr(py, (*me).more).unbind()));
        }
        let items = (&raw const (*me).places).cast::<Object>().add(1);
        let items = std::slice::from_raw_parts(items, (*me).count);
        let items = items.iter().map(|item| Bound::from_borrowed_ptr(py, *item));
        let items: Vec<_> = items.collect();
        Ok(Some(PyTuple::new(py, items)?.into_any().unbind()))
    }
}

/// As C has it: the object, or null with the exception set.
pub(crate) fn answer(result: PyResult<Py<PyAny>>) -> Object {
    match result {
        Ok(object) => object.into_ptr(),
        Err(error) => {
            // SAFETY: the interpreter's lock is held, or there were no error.
            error.restore(unsafe { Python::assume_attached() });
            null_mut()
        }
    }
}

/// `tp_traverse`.
///
/// # Safety
///
/// The collector calls it, on a handle.
pub(super) unsafe extern "C" fn traverse(
    object: Object,
    visit: ffi::visitproc,
    argument: *mut std::ffi::c_void,
) -> std::ffi::c_int {
    // SAFETY: the collector gives a handle that is alive; nothing is changed here.
    unsafe {
        let me = object.cast::<Handle>();
        let fixed = [
            ffi::Py_TYPE(object).cast(),
            (*me).owner,
            (*me).callback,
            (*me).context,
            (*me).more,
        ];
        let places = &(&raw const (*me).places)
            .cast::<[Object; 1 + INLINE]>()
            .read()[1..=(*me).count];
        for item in fixed.iter().chain(places) {
            if !item.is_null() {
                let result = visit(*item, argument);
                if result != 0 {
                    return result;
                }
            }
        }
        0
    }
}

/// `tp_clear`: it is part of a cycle that nobody can reach.
///
/// # Safety
///
/// The collector calls it, on a handle.
pub(super) unsafe extern "C" fn clear_cycle(object: Object) -> std::ffi::c_int {
    // SAFETY: the collector gives a handle that nobody reaches, so it is not running.
    unsafe {
        let me = object.cast::<Handle>();
        clear(me);
        (*me).is_scheduled = false;
        ffi::Py_XDECREF(std::mem::replace(&mut (*me).owner, null_mut()));
        (*me).cancelled_timers = null();
    }
    0
}

thread_local! {
    /// How many handles this thread drops, one within the other.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// Those that wait until the outermost is dropped: the last one, which has the next in its first place, and so on.
    static LATER: Cell<*mut Handle> = const { Cell::new(null_mut()) };
}

/// `tp_dealloc`. A handle may be the argument of another, and so on: those within many others wait, for each takes stack.
///
/// # Safety
///
/// The interpreter calls it, on a handle that nobody refers to any more.
pub(super) unsafe extern "C" fn deallocate(object: Object) {
    // SAFETY: nobody has a reference any more, so the collector and this list are all that know it.
    unsafe {
        let me = object.cast::<Handle>();
        ffi::PyObject_GC_UnTrack(object.cast());
        if DEPTH.get() >= NESTED {
            (*me).places[0] = LATER.replace(me).cast();
            return;
        }
        DEPTH.set(DEPTH.get() + 1);
        free(me);
        if DEPTH.get() == 1 {
            while let Some(next) = NonNull::new(LATER.get()) {
                let next = next.as_ptr();
                LATER.set((*next).places[0].cast());
                free(next);
            }
        }
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// The memory goes to the list of free handles or to the allocator that it came from.
///
/// # Safety
///
/// Nobody has a reference any more, and the collector does not know it.
unsafe fn free(me: *mut Handle) {
    // SAFETY: see above.
    unsafe {
        let object = me.cast::<ffi::PyObject>();
        let kind = ffi::Py_TYPE(object);
        if !(*me).weak_references.is_null() {
            ffi::PyObject_ClearWeakRefs(object);
        }
        clear(me);
        ffi::Py_XDECREF(std::mem::replace(&mut (*me).owner, null_mut()));
        let full = FREE_HANDLES.with(Python::assume_attached(), |free| {
            let full = free.0.len() >= FREE;
            if !full {
                free.0.push(me);
            }
            full
        });
        if full {
            ffi::PyObject_GC_Del(object.cast());
        }
        ffi::Py_DECREF(kind.cast());
    }
}
