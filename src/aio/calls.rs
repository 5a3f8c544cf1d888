//! The methods of a loop that are called for each call and timer, as the interpreter calls C functions: their arguments are neither
//! parsed nor packed, which took as long as all the rest.

use crate::aio::clock;
use crate::aio::handle::{Call, Object, Time, answer};
use crate::aio::object::{NativeLoop, make_handle};
use crate::aio::state::State;
use crate::aio::tasks;
use crate::boundary::call::vectorcall_on;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::CStr;
use std::ptr::null_mut;
use std::slice;

type Fast = ffi::PyCFunctionFastWithKeywords;

/// Those with arguments: name, function and documentation.
const WITH_ARGUMENTS: [(&CStr, Fast, &CStr); 5] = [
    (
        c"call_soon",
        call_soon,
        c"call_soon($self, callback, *args, context=None)\n--\n\nCall it in the next turn.",
    ),
    (
        c"call_soon_threadsafe",
        call_soon_threadsafe,
        c"call_soon_threadsafe($self, callback, *args, context=None)\n--\n\nLike call_soon(), from any thread.",
    ),
    (
        c"call_later",
        call_later,
        c"call_later($self, delay, callback, *args, context=None)\n--\n\nCall it in so many seconds.",
    ),
    (
        c"call_at",
        call_at,
        c"call_at($self, when, callback, *args, context=None)\n--\n\nCall it at that time of the loop's clock.",
    ),
    (
        c"create_task",
        tasks::create_task,
        c"create_task($self, coro, **kwargs)\n--\n\nRun a coroutine in a task.",
    ),
];

/// Those without.
const PLAIN: [(&CStr, ffi::PyCFunction, &CStr); 3] = [
    (
        c"time",
        time,
        c"time($self, /)\n--\n\nThe loop's clock, in seconds.",
    ),
    (
        c"create_future",
        tasks::create_future,
        c"create_future($self, /)\n--\n\nA new future of the loop's.",
    ),
    (
        c"get_debug",
        tasks::get_debug,
        c"get_debug($self, /)\n--\n\nWhether asyncio's debug mode is on.",
    ),
];

/// Puts them into the class.
pub(crate) fn install(py: Python<'_>) -> PyResult<()> {
    let class = py.get_type::<NativeLoop>();
    let mut definitions: Vec<_> = WITH_ARGUMENTS
        .into_iter()
        .map(|(name, function, doc)| ffi::PyMethodDef {
            ml_name: name.as_ptr(),
            ml_meth: ffi::PyMethodDefPointer {
                PyCFunctionFastWithKeywords: function,
            },
            ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
            ml_doc: doc.as_ptr(),
        })
        .collect();
    definitions.extend(PLAIN.map(|(name, function, doc)| ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer {
            PyCFunction: function,
        },
        ml_flags: ffi::METH_NOARGS,
        ml_doc: doc.as_ptr(),
    }));
    // They live as long as the class: for ever.
    for definition in definitions.leak() {
        // SAFETY: the class is `NativeLoop`, which the functions take their first argument for.
        let method = unsafe {
            let method = ffi::PyDescr_NewMethod(class.as_type_ptr(), definition);
            Bound::from_owned_ptr_or_err(py, method)?
        };
        // SAFETY: a name from above.
        let name = unsafe { CStr::from_ptr(definition.ml_name) };
        class.setattr(name.to_string_lossy().as_ref(), method)?;
    }
    Ok(())
}

/// What one of these was called with: borrowed, and valid for the call.
struct Given {
    arguments: *const Object,
    count: usize,
    names: Object,
}

/// The same in order.
struct Arguments {
    first: *const Object,
    count: usize,
    /// Null: a copy of the current one.
    context: Object,
    /// Where `first` points to, if some were given by name.
    #[allow(dead_code, reason = "it is owned, and read by the pointer")]
    named: Vec<Object>,
}

impl Given {
    /// `wanted`: asyncio's names of the first ones, which may be given by them.
    ///
    /// # Safety
    ///
    /// They are what the interpreter called a function with.
    #[inline(always)]
    unsafe fn in_order(&self, wanted: &[&CStr]) -> PyResult<Arguments> {
        if !self.names.is_null() {
            // SAFETY: see above.
            return unsafe { self.put_in_order(wanted) };
        }
        Ok(Arguments {
            first: self.arguments,
            count: self.count,
            context: null_mut(),
            named: Vec::new(),
        })
    }

    /// # Safety
    ///
    /// They are what the interpreter called a function with, and there are names.
    #[cold]
    unsafe fn put_in_order(&self, wanted: &[&CStr]) -> PyResult<Arguments> {
        let (mut named, mut context) = (vec![null_mut(); wanted.len()], null_mut());
        // SAFETY: the names are a tuple of strings, and behind the arguments lies a value for each.
        let given = unsafe {
            for number in 0..ffi::PyTuple_GET_SIZE(self.names) {
                let name = ffi::PyTuple_GET_ITEM(self.names, number);
                let value = *self.arguments.add(self.count).add(number as usize);
                let is =
                    |known: &CStr| ffi::PyUnicode_CompareWithASCIIString(name, known.as_ptr()) == 0;
                match wanted.iter().position(|known| is(known)) {
                    Some(place) if place >= self.count => named[place] = value,
                    None if is(c"context") => context = value,
                    place => return Err(refused(name, place.is_some())),
                }
            }
            if context == ffi::Py_None() {
                context = null_mut();
            }
            slice::from_raw_parts(self.arguments, self.count)
        };
        let missing = named.iter().skip(self.count);
        let missing: Vec<Object> = missing.copied().take_while(|it| !it.is_null()).collect();
        let named = [given, &missing].concat();
        Ok(Arguments {
            first: named.as_ptr(),
            count: named.len(),
            context,
            named,
        })
    }
}

/// # Safety
///
/// `name` is alive, and the interpreter's lock held.
unsafe fn refused(name: Object, is_known: bool) -> PyErr {
    // SAFETY: see above.
    let name = unsafe { Bound::from_borrowed_ptr(Python::assume_attached(), name) };
    PyTypeError::new_err(if is_known {
        format!("got multiple values for argument {name:?}")
    } else {
        format!("got an unexpected keyword argument {name:?}")
    })
}

impl Arguments {
    /// What is called, behind the first `skipped` of them.
    ///
    /// # Safety
    ///
    /// They are more than `skipped`, and alive.
    #[inline(always)]
    unsafe fn call(&self, skipped: usize) -> Call {
        // SAFETY: see above.
        unsafe {
            Call {
                callback: *self.first.add(skipped),
                arguments: self.first.add(skipped + 1),
                count: self.count - skipped - 1,
                context: self.context,
            }
        }
    }
}

macro_rules! methods {
    ($($name:ident |$event_loop:ident, $given:ident| $body:expr;)*) => { $(
        /// # Safety
        ///
        /// The interpreter calls it, as a method of the class.
        unsafe extern "C" fn $name(
            slf: Object,
            arguments: *const Object,
            count: ffi::Py_ssize_t,
            names: Object,
        ) -> Object {
            // SAFETY: the interpreter calls it with its lock held, on an object of the class, with so many arguments.
            unsafe {
                let $event_loop = Bound::from_borrowed_ptr(Python::assume_attached(), slf)
                    .cast_into_unchecked::<NativeLoop>();
                let $given = Given { arguments, count: count as usize, names };
                answer($body.map(Bound::unbind))
            }
        }
    )* };
}

methods! {
    call_soon |event_loop, given| soon(&event_loop, &given, "_debug_call_soon");
    call_soon_threadsafe |event_loop, given| {
        let made = soon(&event_loop, &given, "_debug_call_soon_threadsafe");
        if made.is_ok() {
            event_loop.get().state.wake(event_loop.py());
        }
        made
    };
    call_later |event_loop, given| later(&event_loop, &given, true, "_debug_call_later");
    call_at |event_loop, given| later(&event_loop, &given, false, "_debug_call_at");
}

/// # Safety
///
/// `given` is what the interpreter called a function with.
#[inline(always)]
unsafe fn soon<'py>(
    event_loop: &Bound<'py, NativeLoop>,
    given: &Given,
    in_debug: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let me = event_loop.get();
    me.check_open()?;
    // SAFETY: see above.
    let arguments = unsafe { given.in_order(&[c"callback"])? };
    if arguments.count == 0 {
        return Err(PyTypeError::new_err("the callback is missing"));
    }
    if me.state.is_debug() {
        // SAFETY: see above.
        return unsafe { delegate(event_loop, given, in_debug) };
    }
    // SAFETY: there is one, and `given` is alive.
    let handle = make_handle(event_loop, unsafe { arguments.call(0) }, Time::Soon)?;
    me.state.push(event_loop.py(), handle.clone().unbind());
    Ok(handle)
}

/// `from_now`: the time that is given is counted from now.
///
/// # Safety
///
/// `given` is what the interpreter called a function with.
#[inline(always)]
unsafe fn later<'py>(
    event_loop: &Bound<'py, NativeLoop>,
    given: &Given,
    from_now: bool,
    in_debug: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let (py, me) = (event_loop.py(), event_loop.get());
    let wanted = [if from_now { c"delay" } else { c"when" }, c"callback"];
    // SAFETY: see above.
    let arguments = unsafe { given.in_order(&wanted)? };
    if arguments.count < 2 {
        return Err(PyTypeError::new_err("a time and a callback are wanted"));
    }
    // SAFETY: there are two, and `given` is alive.
    let time = unsafe { Bound::from_borrowed_ptr(py, *arguments.first) };
    if time.is_none() {
        return Err(PyTypeError::new_err(if from_now {
            "delay must not be None"
        } else {
            "when cannot be None"
        }));
    }
    me.check_open()?;
    if me.state.is_debug() {
        // SAFETY: see above.
        return unsafe { delegate(event_loop, given, in_debug) };
    }
    let base = if from_now {
        clock::now(event_loop)?
    } else {
        0.0
    };
    let when = base + time.extract::<f64>()?;
    // SAFETY: see above.
    let handle = make_handle(event_loop, unsafe { arguments.call(1) }, Time::At(when))?;
    let kept = handle.clone().unbind();
    me.state.timers.with(py, |timers| timers.push(when, kept));
    Ok(handle)
}

/// In debug mode the Python class does it, with asyncio's own handles.
///
/// # Safety
///
/// `given` is what the interpreter called a function with.
#[cold]
unsafe fn delegate<'py>(
    event_loop: &Bound<'py, NativeLoop>,
    given: &Given,
    name: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let method = event_loop.getattr(name)?;
    // SAFETY: the same arguments go on.
    unsafe { vectorcall_on(&method, given.arguments, given.count, given.names) }
}

/// # Safety
///
/// The interpreter calls it, as a method of the class.
unsafe extern "C" fn time(_: Object, _: Object) -> Object {
    // SAFETY: the interpreter calls it with its lock held.
    unsafe { ffi::PyFloat_FromDouble(State::time()) }
}
