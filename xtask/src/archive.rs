// SPDX-License-Identifier: BSD-2-Clause
//! The boot archive: cpio's `newc` format, the same bytes for the same files.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

const FOLDER: u32 = 0o040_755;
const FILE: u32 = 0o100_644;
const PROGRAM: u32 = 0o100_755;
const LINK: u32 = 0o120_777;

/// Files by guest path without the leading slash.
#[derive(Default)]
pub struct Archive {
    files: BTreeMap<String, (u32, Vec<u8>)>,
}

impl Archive {
    /// Adds a file.
    pub fn file(&mut self, path: &str, bytes: Vec<u8>) -> Result<()> {
        self.add(path, FILE, bytes)
    }

    /// Adds a program.
    pub fn program(&mut self, path: &str, bytes: Vec<u8>) -> Result<()> {
        self.add(path, PROGRAM, bytes)
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: &str, target: &str) -> Result<()> {
        self.add(path, LINK, target.as_bytes().to_vec())
    }

    fn add(&mut self, path: &str, mode: u32, bytes: Vec<u8>) -> Result<()> {
        let path = normal(path)?;
        if u32::try_from(bytes.len()).is_err() {
            bail!("/{path} is too large for the boot archive: 4 GiB is the most");
        }
        if self.files.contains_key(&path) {
            bail!("/{path} would be in the guest twice");
        }
        self.files.insert(path, (mode, bytes));
        Ok(())
    }

    /// The archive's bytes.
    pub fn finish(&self) -> Result<Vec<u8>> {
        let mut entries: BTreeMap<&str, (u32, &[u8])> = BTreeMap::new();
        for (path, (mode, bytes)) in &self.files {
            for (at, _) in path.match_indices('/') {
                entries.insert(&path[..at], (FOLDER, &[]));
            }
            if entries.insert(path, (*mode, bytes)).is_some() {
                bail!("/{path} is both a file and a folder");
            }
        }
        for path in self.files.keys() {
            if entries
                .get(path.as_str())
                .is_some_and(|entry| entry.0 == FOLDER)
            {
                bail!("/{path} is both a file and a folder");
            }
        }
        let mut out = Vec::new();
        for (number, (path, (mode, bytes))) in entries.iter().enumerate() {
            entry(&mut out, number as u32 + 1, path, *mode, bytes);
        }
        entry(&mut out, 0, "TRAILER!!!", 0, &[]);
        Ok(out)
    }
}

/// A guest path without leading or doubled slashes; refuses what would not name one file.
pub fn normal(path: &str) -> Result<String> {
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    if parts.is_empty() || path.ends_with('/') {
        bail!("{path:?} does not name a file in the guest");
    }
    if parts.contains(&"..") || path.contains('\0') {
        bail!("{path:?}: a path in the guest may not contain `..`");
    }
    Ok(parts.join("/"))
}

/// Header (all fields in hexadecimal), name and data, each padded to four bytes.
fn entry(out: &mut Vec<u8>, number: u32, name: &str, mode: u32, bytes: &[u8]) {
    let links = if mode == FOLDER { 2 } else { 1 };
    let size = bytes.len() as u32;
    let name_size = name.len() as u32 + 1;
    out.extend_from_slice(b"070701");
    // inode, mode, owner, group, links, time, size, device (2), special device (2), name, checksum
    for field in [number, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name_size, 0] {
        out.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    out.extend_from_slice(name.as_bytes());
    out.push(0);
    pad(out);
    out.extend_from_slice(bytes);
    pad(out);
}

fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_is_newc() {
        let mut archive = Archive::default();
        archive.file("/srv/x.txt", b"hello".to_vec()).unwrap();
        archive.program("bin/p", b"12".to_vec()).unwrap();
        archive.link("/bin/q", "/bin/p").unwrap();
        let bytes = archive.finish().unwrap();
        assert_eq!(bytes.len() % 4, 0);
        let mut at = 0;
        let mut seen = Vec::new();
        loop {
            let number = |index: usize| {
                let start = at + 6 + index * 8;
                let text = std::str::from_utf8(&bytes[start..start + 8]).unwrap();
                u32::from_str_radix(text, 16).unwrap() as usize
            };
            assert_eq!(&bytes[at..at + 6], b"070701");
            let (mode, size, name_size) = (number(1), number(6), number(11));
            let name =
                String::from_utf8(bytes[at + 110..at + 110 + name_size - 1].to_vec()).unwrap();
            let data = (at + 110 + name_size).next_multiple_of(4);
            if name == "TRAILER!!!" {
                break;
            }
            seen.push((name, mode, bytes[data..data + size].to_vec()));
            at = (data + size).next_multiple_of(4);
        }
        let want: Vec<(String, usize, Vec<u8>)> = vec![
            ("bin".into(), 0o040_755, vec![]),
            ("bin/p".into(), 0o100_755, b"12".to_vec()),
            ("bin/q".into(), 0o120_777, b"/bin/p".to_vec()),
            ("srv".into(), 0o040_755, vec![]),
            ("srv/x.txt".into(), 0o100_644, b"hello".to_vec()),
        ];
        assert_eq!(seen, want);
    }

    #[test]
    fn paths_are_checked() {
        assert_eq!(normal("//a/./b").unwrap(), "a/b");
        for bad in ["", "/", "a/", "../a", "a/../../b"] {
            assert!(normal(bad).is_err(), "{bad:?}");
        }
        let mut archive = Archive::default();
        archive.file("a/b", vec![]).unwrap();
        assert!(archive.file("/a//b", vec![]).is_err(), "twice");
        archive.file("a", vec![]).unwrap();
        assert!(archive.finish().is_err(), "file and folder");
    }
}
