// SPDX-License-Identifier: BSD-2-Clause
//! An open regular file in memory: the file and a position.

use alloc::rc::Rc;

use vfs_hooks::sync::Ordering;
use vfs_hooks::vfs::{Attributes, FILE};

use super::archive_file::seek;
use super::position::Position;
use super::shared_file::{self, SharedFile};
use super::tree;
use super::{File, Mappable, OpenFile};
use crate::abi::Stat;
use crate::errno::Errno;
use crate::inherit::Heir;

/// See the module.
#[derive(Debug)]
pub struct Regular {
    file: Rc<SharedFile>,
    inode: u64,
    position: Position,
}

impl Regular {
    /// The file with this number and inode number.
    pub fn at(number: u32, inode: u64, position: Position) -> Regular {
        Regular {
            file: shared_file::held(number),
            inode,
            position,
        }
    }
}

impl File for Regular {
    /// What there is no room for, or what a limit forbids, is the next write's affair.
    fn writes_records(&self) -> bool {
        true
    }

    fn inherit(&self) -> Result<Option<Heir>, Errno> {
        let channel = self.position.share()?;
        Ok(Some(Heir::File(self.file.number(), self.inode, channel)))
    }

    fn is_elsewhere(&self) -> bool {
        self.position.is_shared()
    }

    fn description(&self) -> Option<Result<u32, Errno>> {
        Some(self.position.share())
    }

    fn flags_side(&self) -> Option<(usize, usize)> {
        Some((self.position.channel()?, 0))
    }

    fn share(&self) -> Result<(), Errno> {
        self.position.share().map(drop)
    }

    fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let mut result = Ok(0);
        self.position.advance(|position| {
            result = self.file.read(position, buffer);
            result.unwrap_or(0) as u64
        });
        result
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> Result<usize, Errno> {
        self.file.read(position, buffer)
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        self.file.exclusively(|| {
            let at = self.position.get();
            let n = self.file.write(at, bytes)?;
            self.position.set(at + n as u64);
            Ok(n)
        })?
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> Result<usize, Errno> {
        self.file.write(position, bytes)
    }

    fn append(&self, bytes: &[u8], moves: bool) -> Result<usize, Errno> {
        self.file.exclusively(|| {
            let at = self.file.header().size();
            let n = self.file.write(at, bytes)?;
            if moves {
                self.position.set(at + n as u64);
            }
            Ok(n)
        })?
    }

    fn seek(&self, offset: i64, whence: usize) -> Result<u64, Errno> {
        let size = self.file.header().size();
        self.position
            .set(seek(self.position.get(), size, offset, whence)?);
        Ok(self.position.get())
    }

    fn truncate(&self, size: u64) -> Result<(), Errno> {
        self.file.truncate(size)
    }

    fn allocate(&self, mode: u32, start: u64, len: u64) -> Result<(), Errno> {
        self.file.allocate(mode, start, len)
    }

    fn stat(&self) -> Stat {
        let header = self.file.header();
        let stat = tree::stat(&Attributes {
            inode: self.inode,
            mode: header.mode.load(Ordering::Acquire),
            links: header.links.load(Ordering::Acquire),
            size: header.size(),
            modified: header.modified.load(Ordering::Acquire),
            changed: header.changed.load(Ordering::Acquire),
            accessed: header.accessed.load(Ordering::Acquire),
            place: FILE,
            created: 0,
        });
        Stat {
            st_blocks: i64::from(header.pages.load(Ordering::Acquire)) * 8,
            ..stat
        }
    }

    fn inode(&self) -> Option<u64> {
        Some(self.inode)
    }

    fn again(&self, flags: u32) -> Option<Rc<OpenFile>> {
        let again = Regular::at(self.file.number(), self.inode, Position::default());
        Some(OpenFile::new(again, flags))
    }

    fn mappable(&self) -> Result<Mappable, Errno> {
        Ok(Mappable::File(self.file.clone()))
    }

    fn bytes_to_read(&self) -> Option<usize> {
        let left = self.file.header().size();
        Some(left.saturating_sub(self.position.get()) as usize)
    }
}
