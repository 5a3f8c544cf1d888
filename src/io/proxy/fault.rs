//! Why a server refuses a connection whose header it wants.

use crate::io::sys::platform::c;

/// See the module's page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It comes from where no header is believed.
    Stranger,
    /// The header did not come in time, or not all of it.
    Late,
    /// The connection ended in the middle of it.
    Truncated,
    /// What came is no header at all.
    NoHeader,
    /// It begins as a header, and breaks the rule that the text names.
    Malformed(&'static str),
    /// Its CRC32C is not that of its bytes.
    Checksum,
    /// It is long, and so are many others that have not come whole.
    Crowded,
}

impl Fault {
    /// A word for programs.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Stranger => "untrusted",
            Self::Late => "header-timeout",
            Self::Truncated => "truncated",
            Self::NoHeader => "no-header",
            Self::Malformed(_) => "malformed",
            Self::Checksum => "bad-checksum",
            Self::Crowded => "crowded",
        }
    }

    /// The errno that says the most.
    pub fn code(self) -> i32 {
        match self {
            Self::Stranger => c::EPERM,
            Self::Late => c::ETIMEDOUT,
            Self::Crowded => c::ENOBUFS,
            _ => c::EPROTO,
        }
    }

    /// Lower case, no full stop, and nothing of what came.
    pub fn message(self) -> String {
        match self {
            Self::Stranger => "no PROXY headers are taken from this address".into(),
            Self::Late => "no PROXY header came in time".into(),
            Self::Truncated => "the connection ended within the PROXY header".into(),
            Self::NoHeader => "the connection does not begin with a PROXY header".into(),
            Self::Malformed(rule) => format!("malformed PROXY header: {rule}"),
            Self::Checksum => "malformed PROXY header: its CRC32C is wrong".into(),
            Self::Crowded => "too many long PROXY headers come at once".into(),
        }
    }
}
