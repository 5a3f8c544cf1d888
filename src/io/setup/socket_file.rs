//! The file of a Unix socket that listens.

use crate::io::sys::platform;
use std::path::{Path, PathBuf};

/// A server's file, which goes when this is dropped, if it still is that server's.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Which file it is.
    file: (u64, u64),
    /// A forked child's copy of this owns nothing.
    process: u32,
}

impl SocketFile {
    /// The file at `path`, which is absolute, and was just made; None: it is gone already.
    pub(crate) fn at(path: &Path) -> Option<Self> {
        file_at(path).map(|file| Self {
            path: path.to_owned(),
            file,
            process: std::process::id(),
        })
    }

    /// It stays.
    pub(crate) fn leave(mut self) {
        // Process 0 is nobody's.
        self.process = 0;
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.process == std::process::id() && file_at(&self.path) == Some(self.file) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn file_at(path: &Path) -> Option<(u64, u64)> {
    platform::socket_file_at(path).ok().flatten()
}
