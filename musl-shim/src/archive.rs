// SPDX-License-Identifier: BSD-2-Clause
//! The boot archive: a `newc` cpio file that the root server mapped read-only, as a tree of files and directories.
//!
//! The archive is input: every length is checked against the mapping, and a broken entry ends the reading there.

use alloc::collections::BTreeMap;
use core::ops::Bound;

const HEADER: usize = 110;
const TYPE_MASK: u32 = 0o170000;
/// File type of a directory in a mode.
pub const DIRECTORY: u32 = 0o040000;
/// File type of a regular file in a mode.
pub const REGULAR: u32 = 0o100000;

/// A file or directory of the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Type and permissions, as st_mode has them.
    pub mode: u32,
    /// Modification time, seconds since 1970.
    pub modified: u32,
    /// Inode number: the position in the archive, root is 1.
    pub inode: u64,
    /// Contents; empty for a directory.
    pub data: &'static [u8],
}

impl Entry {
    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.mode & TYPE_MASK == DIRECTORY
    }
}

/// The tree: plain paths (see [`crate::path`]) in order, so a directory's entries follow it.
#[derive(Debug, Default)]
pub struct Archive {
    entries: BTreeMap<&'static [u8], Entry>,
}

fn hex(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0u32, |value, &b| {
        Some(value << 4 | char::from(b).to_digit(16)?)
    })
}

const fn align4(n: usize) -> usize {
    (n + 3) & !3
}

impl Archive {
    /// Reads the archive's index. Directories that have no entry of their own are added; what follows a broken header is left out.
    pub fn parse(bytes: &'static [u8]) -> Archive {
        let mut archive = Archive::default();
        archive.add(b"", DIRECTORY | 0o755, 0, 1, &[]);
        let mut at = 0;
        let mut inode = 2;
        while let Some((name, mode, modified, data, next)) = read_entry(bytes, at) {
            if name == b"TRAILER!!!" {
                break;
            }
            let kind = mode & TYPE_MASK;
            if kind == REGULAR || kind == DIRECTORY {
                for (i, _) in name.iter().enumerate().filter(|&(_, &b)| b == b'/') {
                    if !archive.entries.contains_key(&name[..i]) {
                        archive.add(&name[..i], DIRECTORY | 0o755, modified, inode, &[]);
                        inode += 1;
                    }
                }
                let data = if kind == REGULAR { data } else { &[] };
                archive.add(name, mode, modified, inode, data);
                inode += 1;
            }
            at = next;
        }
        archive
    }

    fn add(
        &mut self,
        path: &'static [u8],
        mode: u32,
        modified: u32,
        inode: u64,
        data: &'static [u8],
    ) {
        self.entries.insert(
            path,
            Entry {
                mode,
                modified,
                inode,
                data,
            },
        );
    }

    /// The entry at a plain path.
    pub fn get(&self, path: &[u8]) -> Option<Entry> {
        self.entries.get(path).copied()
    }

    /// The entry with this inode number.
    pub fn by_inode(&self, inode: u64) -> Option<Entry> {
        let mut entries = self.entries.values();
        entries.find(|entry| entry.inode == inode).copied()
    }

    /// Whether something on the way to `path` is a file: ENOTDIR rather than ENOENT.
    pub fn passes_through_file(&self, path: &[u8]) -> bool {
        path.iter()
            .enumerate()
            .filter(|&(_, &b)| b == b'/')
            .any(|(i, _)| self.get(&path[..i]).is_some_and(|e| !e.is_directory()))
    }

    /// Name and entry of what lies directly in directory `path`, in order.
    pub fn list<'a>(&'a self, path: &'a [u8]) -> impl Iterator<Item = (&'static [u8], Entry)> + 'a {
        let skip = if path.is_empty() { 0 } else { path.len() + 1 };
        self.entries
            .range::<[u8], _>((Bound::Excluded(path), Bound::Unbounded))
            .take_while(move |(name, _)| name.starts_with(path))
            .filter(move |(name, _)| {
                (skip == 0 || name[skip - 1] == b'/') && !name[skip..].contains(&b'/')
            })
            .map(move |(name, entry)| (&name[skip..], *entry))
    }
}

type RawEntry = (&'static [u8], u32, u32, &'static [u8], usize);

/// Name, mode, time and data of the entry at `at`, and where the next one starts.
fn read_entry(bytes: &'static [u8], at: usize) -> Option<RawEntry> {
    let header = bytes.get(at..at.checked_add(HEADER)?)?;
    if !matches!(&header[..6], b"070701" | b"070702") {
        return None;
    }
    let field = |i: usize| hex(&header[6 + 8 * i..14 + 8 * i]);
    let (mode, modified, size, name_size) = (field(1)?, field(5)?, field(6)?, field(11)?);
    let name_at = at + HEADER;
    let name = bytes.get(name_at..name_at.checked_add(name_size as usize)?)?;
    let name = &name[..name.iter().position(|&b| b == 0)?];
    let data_at = align4(name_at + name_size as usize);
    let data_end = data_at.checked_add(size as usize)?;
    let data = bytes.get(data_at..data_end)?;
    let name = name.strip_prefix(b"./").unwrap_or(name);
    let name = name.strip_prefix(b"/").unwrap_or(name);
    Some((name, mode, modified, data, align4(data_end)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::vec::Vec;

    fn entry(out: &mut Vec<u8>, name: &str, mode: u32, data: &[u8]) {
        let fields = [
            0,
            mode,
            0,
            0,
            1,
            77,
            data.len() as u32,
            0,
            0,
            0,
            0,
            name.len() as u32 + 1,
            0,
        ];
        out.extend_from_slice(b"070701");
        for field in fields {
            out.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        out.extend_from_slice(name.as_bytes());
        out.push(0);
        out.resize(align4(out.len()), 0);
        out.extend_from_slice(data);
        out.resize(align4(out.len()), 0);
    }

    fn sample() -> Vec<u8> {
        let mut out = Vec::new();
        entry(&mut out, "bin", DIRECTORY | 0o755, b"");
        entry(&mut out, "bin/x", REGULAR | 0o755, b"ELF");
        entry(&mut out, "srv/www/index.html", REGULAR | 0o644, b"<html>");
        entry(&mut out, "srv/www-old", REGULAR | 0o644, b"old");
        entry(&mut out, "TRAILER!!!", 0, b"");
        out
    }

    #[test]
    fn finds_files_and_directories() {
        let archive = Archive::parse(sample().leak());
        assert_eq!(archive.get(b"bin/x").unwrap().data, b"ELF");
        assert_eq!(archive.get(b"srv/www/index.html").unwrap().modified, 77);
        assert!(archive.get(b"srv/www").unwrap().is_directory());
        assert!(archive.get(b"").unwrap().is_directory());
        assert_eq!(archive.get(b"srv/none"), None);
        assert!(archive.passes_through_file(b"bin/x/y"));
        assert!(!archive.passes_through_file(b"bin/y/z"));
    }

    #[test]
    fn lists_direct_children_only() {
        let archive = Archive::parse(sample().leak());
        let names = |path: &[u8]| archive.list(path).map(|(n, _)| n).collect::<Vec<_>>();
        assert_eq!(names(b""), [&b"bin"[..], b"srv"]);
        assert_eq!(names(b"srv"), [&b"www"[..], b"www-old"]);
        assert_eq!(names(b"srv/www"), [b"index.html"]);
    }

    #[test]
    fn survives_any_truncation_and_flip() {
        let whole = sample();
        for end in 0..whole.len() {
            Archive::parse(whole[..end].to_vec().leak());
        }
        for at in 0..whole.len() {
            let mut broken = whole.clone();
            broken[at] ^= 0x11;
            Archive::parse(broken.leak());
        }
    }
}
