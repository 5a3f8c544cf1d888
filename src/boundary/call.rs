//! Calls of Python functions, from which a thread may never come back.
//!
//! While the interpreter exits, CPython before 3.14 ends each other thread that wants its lock, by `pthread_exit`. That
//! unwinds the thread's stack, and a frame that was told that calls of C do not unwind aborts the process: the loop of a
//! daemon thread that is in a callback would end the process by SIGABRT. Calls from here may unwind, and are stopped: the
//! thread sleeps for the rest of the process's life, as it does from CPython 3.14 on. (PyO3 does the same where it takes
//! the lock itself.)

use pyo3::BoundObject;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};
use std::hint::black_box;
use std::ptr::null_mut;

type Object = *mut ffi::PyObject;
type Vectorcall = unsafe extern "C-unwind" fn(Object, *const Object, usize, Object) -> Object;
/// Told with the count: there is a place before the first argument.
const SPARE_PLACE: usize = 1 << (usize::BITS - 1);

type Call = unsafe extern "C-unwind" fn(Object, Object, Object) -> Object;

// SAFETY: as CPython's headers declare them, but for the unwinding.
unsafe extern "C-unwind" {
    fn PyObject_Vectorcall(
        callable: Object,
        arguments: *const Object,
        count: usize,
        names: Object,
    ) -> Object;
    fn PyObject_VectorcallMethod(
        name: Object,
        arguments: *const Object,
        count: usize,
        names: Object,
    ) -> Object;
    fn PyObject_Call(callable: Object, arguments: Object, keywords: Object) -> Object;
}

/// Dropped by unwinding only: the thread, which has not got the interpreter's lock, sleeps for ever.
struct Hang;

impl Drop for Hang {
    #[cold]
    fn drop(&mut self) {
        loop {
            std::thread::park();
        }
    }
}

/// What a Python function can be called with from here.
pub trait Arguments<'py> {
    /// `callable(*self)`.
    fn apply(self, callable: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>>;

    /// `object.name(*self)`.
    fn apply_method(
        self,
        object: &Bound<'py, PyAny>,
        name: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyAny>>;
}

/// Calls of an object's methods, where PyO3's `call_method1` would abort the process.
pub trait Method<'py> {
    /// `self.name(*arguments)`.
    fn method<N>(&self, name: N, arguments: impl Arguments<'py>) -> PyResult<Bound<'py, PyAny>>
    where
        N: IntoPyObject<'py, Target = PyString>;
}

impl<'py, T> Method<'py> for Bound<'py, T> {
    #[inline]
    fn method<N>(&self, name: N, arguments: impl Arguments<'py>) -> PyResult<Bound<'py, PyAny>>
    where
        N: IntoPyObject<'py, Target = PyString>,
    {
        let name = name.into_pyobject(self.py()).map_err(Into::into)?;
        arguments.apply_method(self.as_any(), &name.as_borrowed())
    }
}

/// `callable(*arguments)`.
pub fn call<'py>(
    callable: &Bound<'py, PyAny>,
    arguments: impl Arguments<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    arguments.apply(callable)
}

impl<'py> Arguments<'py> for () {
    fn apply(self, callable: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        vectorcall(callable, [null_mut()])
    }

    fn apply_method(
        self,
        object: &Bound<'py, PyAny>,
        name: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        vectorcall_method(name, [null_mut(), object.as_ptr()])
    }
}

macro_rules! tuples {
    ($($($name:ident)+;)+) => { $(
        impl<'py, $($name: IntoPyObject<'py>),+> Arguments<'py> for ($($name,)+) {
            #[allow(non_snake_case)]
            fn apply(self, callable: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
                let ($($name,)+) = self;
                $(let $name = $name.into_pyobject(callable.py()).map_err(Into::into)?;)+
                vectorcall(callable, [null_mut(), $($name.as_borrowed().as_ptr()),+])
            }

            #[allow(non_snake_case)]
            fn apply_method(
                self,
                object: &Bound<'py, PyAny>,
                name: &Bound<'py, PyString>,
            ) -> PyResult<Bound<'py, PyAny>> {
                let ($($name,)+) = self;
                $(let $name = $name.into_pyobject(object.py()).map_err(Into::into)?;)+
                vectorcall_method(name, [null_mut(), object.as_ptr(), $($name.as_borrowed().as_ptr()),+])
            }
        }
    )+ };
}

tuples! { A; A B; A B C; A B C D; A B C D E; A B C D E F; }

impl<'py> Arguments<'py> for &Bound<'py, PyTuple> {
    fn apply(self, callable: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        // Called by its address: PyO3 declares that it never unwinds, and one declaration counts for the whole program.
        let call = black_box(PyObject_Call as Call);
        let hang = Hang;
        // SAFETY: both are borrowed for the length of the call, and there are no keywords.
        let made = unsafe { call(callable.as_ptr(), self.as_ptr(), null_mut()) };
        std::mem::forget(hang);
        // SAFETY: the call returned a new reference, or null with an exception set.
        unsafe { Bound::from_owned_ptr_or_err(callable.py(), made) }
    }

    fn apply_method(
        self,
        object: &Bound<'py, PyAny>,
        name: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.apply(&object.getattr(name)?)
    }
}

/// `places`: one that the callee may use, then the arguments, borrowed.
#[inline]
fn vectorcall<'py, const N: usize>(
    callable: &Bound<'py, PyAny>,
    mut places: [Object; N],
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: behind the spare place are N - 1 arguments, which live as long as the call.
    unsafe {
        let arguments = places.as_mut_ptr().add(1);
        vectorcall_at(callable.py(), callable.as_ptr(), arguments, N - 1)
    }
}

/// `places`: one that the callee may use, the object, then the arguments, borrowed.
#[inline]
fn vectorcall_method<'py, const N: usize>(
    name: &Bound<'py, PyString>,
    mut places: [Object; N],
) -> PyResult<Bound<'py, PyAny>> {
    // As above.
    let call = black_box(PyObject_VectorcallMethod as Vectorcall);
    let hang = Hang;
    // SAFETY: behind the spare place are N - 1 objects, which live as long as the call; there are no names.
    let made = unsafe {
        let arguments = places.as_mut_ptr().add(1);
        call(name.as_ptr(), arguments, (N - 1) | SPARE_PLACE, null_mut())
    };
    std::mem::forget(hang);
    // SAFETY: the call returned a new reference, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(name.py(), made) }
}

/// `callable(*arguments, …)`: `count` arguments, and behind them a value for each of `names`, a tuple or null.
///
/// # Safety
///
/// The caller has references to all of them for the length of the call.
#[inline]
pub unsafe fn vectorcall_on<'py>(
    callable: &Bound<'py, PyAny>,
    arguments: *const *mut ffi::PyObject,
    count: usize,
    names: *mut ffi::PyObject,
) -> PyResult<Bound<'py, PyAny>> {
    // As above.
    let call = black_box(PyObject_Vectorcall as Vectorcall);
    let hang = Hang;
    // SAFETY: see above; there is no spare place.
    let made = unsafe { call(callable.as_ptr(), arguments, count, names) };
    std::mem::forget(hang);
    // SAFETY: the call returned a new reference, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(callable.py(), made) }
}

/// `callable(*arguments)`, for so many that lie one after another.
///
/// # Safety
///
/// The caller has references to all of them for the length of the call, and the place before the first is the callee's to use.
#[inline]
pub unsafe fn vectorcall_at<'py>(
    py: Python<'py>,
    callable: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: usize,
) -> PyResult<Bound<'py, PyAny>> {
    // As above.
    let call = black_box(PyObject_Vectorcall as Vectorcall);
    let hang = Hang;
    // SAFETY: see above; the flag tells of the spare place, and there are no names.
    let made = unsafe { call(callable, arguments, count | SPARE_PLACE, null_mut()) };
    std::mem::forget(hang);
    // SAFETY: the call returned a new reference, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, made) }
}
