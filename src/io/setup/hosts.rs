//! What /etc/hosts knows: names and addresses whose lookup asks no server.

use crate::io::setup::family::is_of;
use crate::io::sys::platform::{FileVersion, HOSTS, file_version};
use std::collections::HashMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The file as it was read last.
#[derive(Debug)]
pub struct Hosts {
    path: PathBuf,
    /// Leaf lock, never held while the file is read.
    read: Mutex<Option<(FileVersion, Arc<Table>)>>,
}

/// Names in lower case and their addresses.
#[derive(Debug, Default)]
pub struct Table(HashMap<String, Vec<IpAddr>>);

impl Default for Hosts {
    fn default() -> Self {
        Self::of(HOSTS)
    }
}

impl Hosts {
    fn of(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            read: Mutex::new(None),
        }
    }

    /// What it says now; read anew where it has changed. Nothing where it cannot be read.
    pub fn table(&self) -> Arc<Table> {
        let Ok(version) = fs::metadata(&self.path).map(|data| file_version(&data)) else {
            return Arc::default();
        };
        let lock = || self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((read, table)) = &*lock()
            && *read == version
        {
            return table.clone();
        }
        let table = Arc::new(Table::read(&self.path));
        let before = lock().replace((version, table.clone()));
        drop(before);
        table
    }
}

impl Table {
    fn read(path: &Path) -> Self {
        // Bytes, since a comment may be in any encoding.
        let text = fs::read(path).unwrap_or_default();
        Self::parse(&String::from_utf8_lossy(&text))
    }

    fn parse(text: &str) -> Self {
        let mut table = Self::default();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let address = words.next().unwrap_or_default();
            // Without the zone of one that has it.
            let Ok(address) = address.split('%').next().unwrap_or_default().parse() else {
                continue;
            };
            for name in words {
                let addresses = table.0.entry(name.to_ascii_lowercase()).or_default();
                addresses.push(address);
            }
        }
        table
    }

    /// Whether it has an address of `name`, of that family (None: any).
    pub fn knows(&self, name: &str, family: Option<i32>) -> bool {
        let addresses = self.0.get(&name.to_ascii_lowercase());
        addresses.is_some_and(|addresses| addresses.iter().any(|address| is_of(*address, family)))
    }

    /// Whether it has a name of `address`.
    pub fn names(&self, address: IpAddr) -> bool {
        self.0
            .values()
            .any(|addresses| addresses.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::sys::platform::c;

    #[test]
    fn names_are_found_by_family_whatever_their_case() {
        let table = Table::parse(
            "127.0.0.1 localhost Here # there\n\n#::1 commented\n::1\tlocalhost\nfe80::1%lo zoned\nbad line\n",
        );
        assert!(table.knows("localhost", None) && table.knows("LOCALHOST", Some(c::AF_INET6)));
        assert!(table.knows("here", Some(c::AF_INET)));
        assert!(!table.knows("here", Some(c::AF_INET6)));
        assert!(table.knows("zoned", Some(c::AF_INET6)));
        for unknown in ["there", "commented", "line", "127.0.0.1", ""] {
            assert!(!table.knows(unknown, None), "{unknown}");
        }
        assert!(table.names("::1".parse().unwrap()));
        assert!(!table.names("127.0.0.2".parse().unwrap()));
    }

    #[test]
    fn the_file_is_read_again_when_it_changes_and_only_then() {
        let path = std::env::temp_dir().join(format!("hosts-{}", std::process::id()));
        let hosts = Hosts::of(&path);
        assert!(!hosts.table().knows("one", None));
        fs::write(&path, "127.0.0.1 one\n").unwrap();
        let first = hosts.table();
        assert!(first.knows("one", None));
        assert!(Arc::ptr_eq(&first, &hosts.table()));
        fs::write(&path, "127.0.0.1 one another\n").unwrap();
        assert!(hosts.table().knows("another", None));
        fs::remove_file(&path).unwrap();
        assert!(!hosts.table().knows("one", None));
    }
}
