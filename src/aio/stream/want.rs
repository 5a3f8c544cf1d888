//! What a read waits for.

use memchr::{memchr, memmem};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyTuple;

/// See asyncio's `StreamReader`, whose methods these are.
pub(crate) enum Want {
    /// `read(n)`: at least a byte, at most so many.
    Some(usize),
    /// `read()`: all until the end; what has come so far.
    All(Vec<u8>),
    /// `readexactly(n)`.
    Exactly(usize),
    /// `readline()`, `readuntil(…)`.
    Until(Until),
}

/// A read that ends behind a separator.
pub(crate) struct Until {
    separators: Separators,
    /// Up to here nothing begins that is one.
    searched: usize,
    /// `readline()` is content with less.
    pub(crate) is_line: bool,
}

enum Separators {
    Newline,
    /// The shortest first; none is empty.
    Given(Vec<Vec<u8>>),
}

/// Where a separator stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Found {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Want {
    /// The method, as its coroutine is called.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Some(_) | Self::All(_) => "read",
            Self::Exactly(_) => "readexactly",
            Self::Until(until) if until.is_line => "readline",
            Self::Until(_) => "readuntil",
        }
    }
}

impl Until {
    pub(crate) fn line() -> Self {
        Self {
            separators: Separators::Newline,
            searched: 0,
            is_line: true,
        }
    }

    /// `separator`: bytes, or a tuple of them.
    pub(crate) fn separator(separator: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut given = Vec::new();
        if let Ok(several) = separator.cast::<PyTuple>() {
            for one in several {
                given.push(bytes_of(&one)?);
            }
            given.sort_by_key(Vec::len);
        } else {
            given.push(bytes_of(separator)?);
        }
        let Some(shortest) = given.first() else {
            return Err(PyValueError::new_err(
                "Separator should contain at least one element",
            ));
        };
        if shortest.is_empty() {
            return Err(PyValueError::new_err(
                "Separator should be at least one-byte string",
            ));
        }
        Ok(Self {
            separators: Separators::Given(given),
            searched: 0,
            is_line: false,
        })
    }

    /// The separator that ends first.
    pub(crate) fn find(&self, bytes: &[u8]) -> Option<Found> {
        let rest = bytes.get(self.searched..)?;
        let found = |start: usize, len: usize| Found {
            start: self.searched + start,
            end: self.searched + start + len,
        };
        match &self.separators {
            Separators::Newline => memchr(b'\n', rest).map(|start| found(start, 1)),
            Separators::Given(given) => given
                .iter()
                .filter_map(|one| memmem::find(rest, one).map(|start| found(start, one.len())))
                .min_by_key(|found| found.end),
        }
    }

    /// None is among the first `len` bytes, but one may have begun. How many need not be searched again.
    pub(crate) fn has_searched(&mut self, len: usize) -> usize {
        let longest = match &self.separators {
            Separators::Newline => 1,
            Separators::Given(given) => given.last().map_or(1, Vec::len),
        };
        if len >= self.shortest() {
            self.searched = (len + 1).saturating_sub(longest);
        }
        self.searched
    }

    fn shortest(&self) -> usize {
        match &self.separators {
            Separators::Newline => 1,
            Separators::Given(given) => given.first().map_or(1, Vec::len),
        }
    }
}

fn bytes_of(separator: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let bytes = separator
        .extract::<PyBackedBytes>()
        .map_err(|_| PyTypeError::new_err("a separator is bytes, several are a tuple of them"))?;
    Ok(bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use super::{Found, Separators, Until};

    fn until(separators: &[&str]) -> Until {
        let mut given: Vec<Vec<u8>> = separators.iter().map(|one| one.as_bytes().into()).collect();
        given.sort_by_key(Vec::len);
        Until {
            separators: Separators::Given(given),
            searched: 0,
            is_line: false,
        }
    }

    #[test]
    fn of_several_the_one_that_ends_first_is_found() {
        let found = until(&["\r\n", "--"]).find(b"a--b\r\n");
        assert_eq!(found, Some(Found { start: 1, end: 3 }));
    }

    #[test]
    fn of_two_that_end_together_the_shorter_is_found() {
        let found = until(&["\r\n", "\n"]).find(b"a\r\n");
        assert_eq!(found, Some(Found { start: 2, end: 3 }));
    }

    #[test]
    fn what_was_searched_is_not_searched_again_but_for_a_beginning() {
        let mut until = until(&["\r\n"]);
        assert_eq!(until.find(b"abc\r"), None);
        assert_eq!(until.has_searched(4), 3);
        assert_eq!(until.find(b"abc\r\n"), Some(Found { start: 3, end: 5 }));
    }

    #[test]
    fn a_line_ends_behind_its_newline() {
        assert_eq!(
            Until::line().find(b"a\nb\n"),
            Some(Found { start: 1, end: 2 })
        );
    }
}
