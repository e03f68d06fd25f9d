// SPDX-License-Identifier: BSD-2-Clause
//! The tree as it is at first: the boot archive, a `newc` cpio file, and what every system has.
//!
//! The archive is input: every length is checked against it, and a broken entry ends the reading there.

use crate::errno::Errno;
use crate::server::{Files, Server};
use crate::tree::{Contents, DIRECTORY, Inode, Kind, LINK, REGULAR, Record, TYPE};
use crate::walk::LOCAL;

const HEADER: usize = 110;
const SECOND: u64 = 1_000_000_000;

/// Directories that there are in any case, and their permissions.
const DIRECTORIES: &[(&[u8], u32)] = &[
    (b"dev", 0o755),
    (b"dev/shm", 0o1777),
    (b"etc", 0o755),
    (b"run", 0o755),
    (b"tmp", 0o1777),
    (b"var", 0o755),
    (b"var/log", 0o755),
    (b"var/run", 0o755),
    (b"var/tmp", 0o1777),
];

/// Devices and their numbers, as Linux has them: major << 8 | minor.
const DEVICES: &[(&[u8], u64)] = &[
    (b"console", 5 << 8 | 1),
    (b"full", 1 << 8 | 7),
    (b"null", 1 << 8 | 3),
    (b"random", 1 << 8 | 8),
    (b"tty", 5 << 8),
    (b"ttyS0", 4 << 8 | 64),
    (b"urandom", 1 << 8 | 9),
    (b"zero", 1 << 8 | 5),
];

const LINKS: &[(&[u8], &[u8])] = &[
    (b"dev/fd", b"/proc/self/fd"),
    (b"dev/stdin", b"/proc/self/fd/0"),
    (b"dev/stdout", b"/proc/self/fd/1"),
    (b"dev/stderr", b"/proc/self/fd/2"),
];

/// A member of the archive.
struct Member<'a> {
    name: &'a [u8],
    mode: u32,
    modified: u64,
    /// Where its bytes are.
    offset: usize,
    data: &'a [u8],
    next: usize,
}

fn hex(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0u32, |value, &b| {
        Some(value << 4 | char::from(b).to_digit(16)?)
    })
}

const fn align4(n: usize) -> usize {
    (n + 3) & !3
}

fn member(bytes: &[u8], at: usize) -> Option<Member<'_>> {
    let header = bytes.get(at..at.checked_add(HEADER)?)?;
    if !matches!(&header[..6], b"070701" | b"070702") {
        return None;
    }
    let field = |i: usize| hex(&header[6 + 8 * i..14 + 8 * i]);
    let (mode, modified, size, name_size) = (field(1)?, field(5)?, field(6)?, field(11)?);
    let name_at = at + HEADER;
    let name = bytes.get(name_at..name_at.checked_add(name_size as usize)?)?;
    let name = &name[..name.iter().position(|&b| b == 0)?];
    let offset = align4(name_at + name_size as usize);
    let end = offset.checked_add(size as usize)?;
    Some(Member {
        name,
        mode,
        modified: u64::from(modified) * SECOND,
        offset,
        data: bytes.get(offset..end)?,
        next: align4(end),
    })
}

impl<F: Files> Server<F> {
    /// Fills an empty tree. What does not fit, or is of a kind that an archive should not have, is left out.
    pub fn boot(&mut self, archive: &[u8], now: u64) {
        let mut at = 0;
        while let Some(member) = member(archive, at) {
            if member.name == b"TRAILER!!!" {
                break;
            }
            at = member.next;
            // A member that cannot be there (below a file, say) is left out.
            let _ = self.unpack(&member);
        }
        for (path, mode) in DIRECTORIES {
            let _ = self.directory(path, *mode, now);
        }
        if let Ok(dev) = self.directory(b"dev", 0o755, now) {
            for (name, number) in DEVICES {
                self.insert_device(dev, name, *number, now);
            }
        }
        let root = self.tree.root();
        for (path, target) in LINKS {
            let _ = self.symlink(target, (root, path), now);
        }
        let local = Record::new(DIRECTORY | 0o555, Kind::Local, now);
        let _ = self.insert(root, LOCAL, local, now);
    }

    /// The directory at a path, made with those above it if it is not there.
    fn directory(&mut self, path: &[u8], mode: u32, now: u64) -> Result<Inode, Errno> {
        let mut at = self.tree.root();
        for name in path.split(|b| *b == b'/').filter(|name| is_name(name)) {
            at = match self.tree.directory(at)?.0.get(name) {
                Some(found) => found,
                None => self.insert_directory(at, name, mode, now)?,
            };
        }
        self.tree.directory(at)?;
        Ok(at)
    }

    fn unpack(&mut self, member: &Member) -> Result<(), Errno> {
        let name = member.name;
        let name = name.strip_prefix(b"/").unwrap_or(name);
        let name = name.strip_prefix(b"./").unwrap_or(name);
        let now = member.modified;
        let split = name.iter().rposition(|b| *b == b'/');
        let (parent, last) = name.split_at(split.map_or(0, |at| at + 1));
        let kind = match member.mode & TYPE {
            DIRECTORY => {
                let directory = self.directory(name, member.mode, now)?;
                let record = self.tree.get_mut(directory)?;
                record.mode = DIRECTORY | member.mode & 0o7777;
                return Ok(());
            }
            REGULAR if member.data.is_empty() => Kind::Regular(Contents::Empty),
            REGULAR => {
                let (offset, len) = (member.offset as u64, member.data.len() as u64);
                Kind::Regular(Contents::Archive(offset, len, name.into()))
            }
            LINK => Kind::Link(member.data.into()),
            _ => return Err(Errno::INVAL),
        };
        let parent = self.directory(parent, 0o755, now)?;
        if !is_name(last) || self.tree.directory(parent)?.0.get(last).is_some() {
            return Err(Errno::EXIST);
        }
        let record = Record::new(member.mode & (TYPE | 0o7777), kind, now);
        self.insert(parent, last, record, now).map(drop)
    }
}

/// Whether it can be a name in a directory.
fn is_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && name.len() <= crate::tree::NAME_MAX
}
