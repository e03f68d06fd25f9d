// SPDX-License-Identifier: BSD-2-Clause
//! Open files and directories of /proc. A text is made anew whenever it is read from its start, and stays as it is for who reads on: so small reads
//! fit together.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;

use super::process::COMM;
use super::{Entry, Target};
use crate::abi::{
    O_ACCMODE, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_PATH, O_RDONLY, O_TRUNC, S_IFLNK, Stat,
};
use crate::errno::Errno;
use crate::files::archive_file::seek;
use crate::files::directory::put_entry;
use crate::files::position::Position;
use crate::files::tree::TYPE;
use crate::files::{File, OpenFile};
use crate::inherit::Heir;
use crate::process::pid;
use crate::{threads, user};

/// An open file or directory.
pub struct ProcFile {
    entry: Entry,
    text: RefCell<Vec<u8>>,
    names: RefCell<Vec<(String, u8)>>,
    position: Position,
}

/// Opens what is not a symbolic link.
pub fn open(entry: Entry, flags: u32) -> Result<Rc<OpenFile>, Errno> {
    if flags & (O_CREAT | O_EXCL) == O_CREAT | O_EXCL {
        return Err(Errno::EEXIST);
    }
    let mode = entry.stat().st_mode;
    if mode & TYPE == S_IFLNK && flags & O_PATH == 0 {
        return Err(Errno::ELOOP);
    }
    let writes = flags & O_ACCMODE != O_RDONLY || flags & O_TRUNC != 0;
    match entry.is_directory() {
        true if flags & O_PATH == 0 && (writes || flags & O_CREAT != 0) => {
            return Err(Errno::EISDIR);
        }
        false if flags & O_DIRECTORY != 0 => return Err(Errno::ENOTDIR),
        false if flags & O_PATH == 0 && writes && mode & 0o200 == 0 => return Err(Errno::EACCES),
        _ => {}
    }
    Ok(OpenFile::new(
        ProcFile::at(entry, Position::default()),
        flags & !O_NOFOLLOW,
    ))
}

/// What another process has passed on: its path below /proc. `None`: it is not there any longer.
pub fn inherited(path: &[u8], position: u32, flags: u32) -> Option<Rc<OpenFile>> {
    let Ok(Target::Entry(entry)) = super::find(path, false) else {
        return None;
    };
    let position = Position::inherited(position);
    Some(OpenFile::new(ProcFile::at(entry, position), flags))
}

impl ProcFile {
    fn at(entry: Entry, position: Position) -> ProcFile {
        ProcFile {
            entry,
            text: RefCell::default(),
            names: RefCell::default(),
            position,
        }
    }

    /// Copies what lies at a position of the text.
    fn copy(&self, position: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        if position == 0 || self.text.borrow().is_empty() {
            *self.text.borrow_mut() = self.entry.contents()?;
        }
        let text = self.text.borrow();
        let rest = text.get(position as usize..).unwrap_or(&[]);
        let n = rest.len().min(buffer.len());
        buffer[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }
}

impl File for ProcFile {
    fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let position = self.position.get();
        let n = self.copy(position, buffer)?;
        self.position.set(position + n as u64);
        Ok(n)
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> Result<usize, Errno> {
        self.copy(position, buffer)
    }

    /// A thread's name, if it is one of this process's.
    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        let Entry::File(of, thread, file) = self.entry else {
            return Err(Errno::EINVAL);
        };
        if file.name != COMM || of != pid() {
            return Err(Errno::EINVAL);
        }
        let thread = threads::find(thread.unwrap_or(of)).ok_or(Errno::EINVAL)?;
        let end = bytes.iter().position(|b| matches!(b, 0 | b'\n'));
        let name = &bytes[..end.unwrap_or(bytes.len()).min(15)];
        let mut padded = [0; 16];
        padded[..name.len()].copy_from_slice(name);
        threads::rename(thread, padded);
        Ok(bytes.len())
    }

    fn truncate(&self, _: u64) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn seek(&self, offset: i64, whence: usize) -> Result<u64, Errno> {
        const SEEK_CUR: usize = 1;
        // From the end there is nothing to count.
        if whence > SEEK_CUR {
            return Err(Errno::EINVAL);
        }
        let at = seek(self.position.get(), 0, offset, whence)?;
        self.position.set(at);
        Ok(at)
    }

    fn stat(&self) -> Stat {
        self.entry.stat()
    }

    fn directory(&self) -> Option<u64> {
        self.entry.directory()
    }

    fn proc_path(&self) -> Option<Vec<u8>> {
        let mut path = Vec::from(*b"/proc");
        let below = self.entry.path();
        if !below.is_empty() {
            path.push(b'/');
            path.extend_from_slice(below.as_bytes());
        }
        Some(path)
    }

    fn again(&self, flags: u32) -> Option<Rc<OpenFile>> {
        let file = ProcFile::at(self.entry, Position::default());
        Some(OpenFile::new(file, flags))
    }

    fn flags_side(&self) -> Option<(usize, usize)> {
        Some((self.position.channel()?, 0))
    }

    fn share(&self) -> Result<(), Errno> {
        self.position.share().map(drop)
    }

    fn inherit(&self) -> Result<Option<Heir>, Errno> {
        let path = self.entry.path().into_bytes();
        Ok(Some(Heir::Proc(path, self.position.share()?)))
    }

    fn read_entries(&self, address: usize, len: usize) -> Result<usize, Errno> {
        if !self.entry.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        let buffer = user::bytes_mut(address, len)?;
        let start = self.position.get();
        let mut names = self.names.borrow_mut();
        if start == 0 || names.is_empty() {
            *names = self.entry.names();
        }
        let mut at = 0;
        for (i, (name, kind)) in names.iter().enumerate().skip(start as usize) {
            let path = alloc::format!("{}/{name}", self.entry.path());
            let next = i as u64 + 1;
            let entry = (super::inode(&path), next, *kind, name.as_bytes());
            let Some(size) = put_entry(&mut buffer[at..], entry) else {
                return if at == 0 { Err(Errno::EINVAL) } else { Ok(at) };
            };
            at += size;
            self.position.set(next);
        }
        Ok(at)
    }
}
