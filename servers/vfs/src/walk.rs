// SPDX-License-Identifier: BSD-2-Clause
//! Paths to inodes (path_resolution(7)).

use alloc::vec::Vec;

use crate::errno::Errno;
use crate::tree::{Inode, Kind, NAME_MAX, SEARCH, Tree};

/// Symbolic links in a path at most.
const MOST_LINKS: usize = 40;
/// Longest path with its NUL.
pub const PATH_MAX: usize = 4096;

/// Name of the part of the root that is the process's own.
pub const LOCAL: &[u8] = b"proc";

/// What becomes of a symbolic link at the path's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// It is followed.
    Follow,
    /// It is meant itself, unless a slash follows it.
    Stay,
    /// It is followed, unless a slash follows it: what it points to may be made.
    Create,
    /// It is meant itself: the name is to be made, moved or removed.
    Name,
}

/// Where a path ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// At a name in a directory, which stands for an inode or for nothing; `true`: a slash follows.
    Name(Inode, Vec<u8>, Option<Inode>, bool),
    /// At `.`, or nowhere beyond the root.
    Here(Inode),
    /// At `..`.
    Up(Inode),
    /// In a part that is the process's own: the rest of the path.
    Local(Vec<u8>),
}

impl Tree {
    /// Follows `path` from `base`. ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG: it cannot be followed to its last name.
    pub fn walk(&self, base: Inode, path: &[u8], last: Last) -> Result<End, Errno> {
        if path.is_empty() {
            return Err(Errno::NOENT);
        }
        let mut rest = path.to_vec();
        let mut at = match path[0] {
            b'/' => self.root(),
            _ => base,
        };
        if matches!(self.get(at)?.kind, Kind::Local) {
            match within(path) {
                Ok(local) => return Ok(End::Local(local.to_vec())),
                Err(above) => (at, rest) = (self.root(), above.to_vec()),
            }
        }
        let mut links = 0;
        loop {
            let (names, parent) = self.directory(at)?;
            let Some(start) = rest.iter().position(|b| *b != b'/') else {
                return Ok(End::Here(at));
            };
            let end = rest[start..].iter().position(|b| *b == b'/');
            let end = end.map_or(rest.len(), |len| start + len);
            let (name, tail) = (&rest[start..end], &rest[end..]);
            let final_name = tail.iter().all(|b| *b == b'/');
            self.get(at)?.allows(SEARCH)?;
            let next = match name {
                b"." if final_name => return Ok(End::Here(at)),
                b"." => at,
                b".." if final_name => return Ok(End::Up(parent)),
                b".." => parent,
                _ if name.len() > NAME_MAX => return Err(Errno::NAMETOOLONG),
                _ => {
                    let slash = !tail.is_empty();
                    let Some(child) = names.get(name) else {
                        return match final_name {
                            true => Ok(End::Name(at, name.to_vec(), None, slash)),
                            false => Err(Errno::NOENT),
                        };
                    };
                    match &self.get(child)?.kind {
                        Kind::Local => return Ok(End::Local(tail.to_vec())),
                        Kind::Link(target) if !final_name || follows(last, slash) => {
                            links += 1;
                            if links > MOST_LINKS {
                                return Err(Errno::LOOP);
                            }
                            let mut whole = target.to_vec();
                            whole.extend_from_slice(tail);
                            if whole.first() == Some(&b'/') {
                                at = self.root();
                            }
                            rest = whole;
                            continue;
                        }
                        _ if final_name => {
                            return Ok(End::Name(at, name.to_vec(), Some(child), slash));
                        }
                        _ => child,
                    }
                }
            };
            at = next;
            rest.drain(..end);
        }
    }

    /// An absolute path of an inode: of what is no directory the first that is found. ENOENT: it has none.
    pub fn any_path(&self, inode: Inode) -> Result<Vec<u8>, Errno> {
        if self.get(inode)?.is_directory() {
            return self.path(inode);
        }
        let mut work = Vec::from([self.root()]);
        while let Some(directory) = work.pop() {
            for (_, name, child) in self.directory(directory)?.0.from(0) {
                if child == inode {
                    let mut path = self.path(directory)?;
                    if path.last() != Some(&b'/') {
                        path.push(b'/');
                    }
                    path.extend_from_slice(name);
                    return Ok(path);
                }
                if self.directory(child).is_ok() {
                    work.push(child);
                }
            }
        }
        Err(Errno::NOENT)
    }

    /// The part that is the process's own.
    pub fn local(&self) -> Option<Inode> {
        let (names, _) = self.directory(self.root()).ok()?;
        let local = names.get(LOCAL)?;
        matches!(self.get(local).ok()?.kind, Kind::Local).then_some(local)
    }

    /// Absolute path of a directory. ENOENT: it has been removed. ENAMETOOLONG.
    pub fn path(&self, directory: Inode) -> Result<Vec<u8>, Errno> {
        if self.local() == Some(directory) {
            return Ok([&b"/"[..], LOCAL].concat());
        }
        let mut names: Vec<&[u8]> = Vec::new();
        let mut at = directory;
        let mut len = 0;
        while at != self.root() {
            let name = self.name_of(at).ok_or(Errno::NOENT)?;
            len += name.len() + 1;
            if len >= PATH_MAX {
                return Err(Errno::NAMETOOLONG);
            }
            names.push(name);
            at = self.directory(at)?.1;
        }
        let mut path = Vec::with_capacity(len.max(1));
        for name in names.iter().rev() {
            path.push(b'/');
            path.extend_from_slice(name);
        }
        if path.is_empty() {
            path.push(b'/');
        }
        Ok(path)
    }
}

/// A path from the part that is the process's own: what follows there, or (`Err`) what follows in the root, behind the `..` that leads to it.
fn within(path: &[u8]) -> Result<&[u8], &[u8]> {
    let mut rest = path;
    loop {
        let start = rest.iter().position(|b| *b != b'/').unwrap_or(rest.len());
        rest = &rest[start..];
        let end = rest.iter().position(|b| *b == b'/').unwrap_or(rest.len());
        match &rest[..end] {
            b"." => rest = &rest[end..],
            b".." => return Err(&rest[end..]),
            _ => return Ok(rest),
        }
    }
}

fn follows(last: Last, slash: bool) -> bool {
    match last {
        Last::Follow => true,
        Last::Stay => slash,
        Last::Create => !slash,
        Last::Name => false,
    }
}

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    fn paths_from_the_process_s_own_part_stay_there_or_lead_to_the_root() {
        for (path, stays) in [
            ("self/stat", "self/stat"),
            (".", ""),
            ("./", ""),
            (".//./self/..", "self/.."),
        ] {
            assert_eq!(within(path.as_bytes()), Ok(stays.as_bytes()), "{path}");
        }
        for (path, above) in [("..", ""), ("../", "/"), (".//../dev/null", "/dev/null")] {
            assert_eq!(within(path.as_bytes()), Err(above.as_bytes()), "{path}");
        }
    }
}
