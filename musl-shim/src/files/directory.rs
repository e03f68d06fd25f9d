// SPDX-License-Identifier: BSD-2-Clause
//! An open directory: its inode number, and where its listing goes on.

use vfs_hooks::vfs::entry;

use super::position::Position;
use super::{File, tree};
use crate::abi::Stat;
use crate::errno::Errno;
use crate::inherit::Heir;
use crate::user;

/// See the module.
#[derive(Debug)]
pub struct Directory {
    inode: u64,
    position: Position,
}

impl Directory {
    /// The directory with this inode number.
    pub fn at(inode: u64, position: Position) -> Directory {
        Directory { inode, position }
    }
}

impl File for Directory {
    fn inherit(&self) -> Result<Option<Heir>, Errno> {
        let channel = self.position.share()?;
        Ok(Some(Heir::Directory(self.inode, channel)))
    }

    fn description(&self) -> Option<Result<u32, Errno>> {
        Some(self.position.share())
    }

    fn share(&self) -> Result<(), Errno> {
        self.position.share().map(drop)
    }

    fn read(&self, _: &mut [u8]) -> Result<usize, Errno> {
        Err(Errno::EISDIR)
    }

    fn read_at(&self, _: &mut [u8], _: u64) -> Result<usize, Errno> {
        Err(Errno::EISDIR)
    }

    fn seek(&self, offset: i64, whence: usize) -> Result<u64, Errno> {
        const SEEK_SET: usize = 0;
        const SEEK_CUR: usize = 1;
        let base = match whence {
            SEEK_SET => 0,
            SEEK_CUR => self.position.get(),
            _ => return Err(Errno::EINVAL),
        };
        let at = base.checked_add_signed(offset).ok_or(Errno::EINVAL)?;
        self.position.set(at);
        Ok(at)
    }

    fn stat(&self) -> Stat {
        match tree::attributes(self.inode) {
            Ok(attributes) => tree::stat(&attributes),
            // It has been removed; what it was is known no longer.
            Err(_) => Stat {
                st_mode: tree::DIRECTORY | 0o755,
                st_ino: self.inode,
                st_nlink: 0,
                ..super::empty_stat()
            },
        }
    }

    fn inode(&self) -> Option<u64> {
        Some(self.inode)
    }

    fn directory(&self) -> Option<u64> {
        Some(self.inode)
    }

    /// struct linux_dirent64: inode, offset of the next, length, type, name.
    fn read_entries(&self, address: usize, len: usize) -> Result<usize, Errno> {
        const NAME: usize = 19;
        let buffer = user::bytes_mut(address, len)?;
        let mut at = 0;
        loop {
            let (string, count) = tree::list(self.inode, self.position.get())?;
            if count == 0 {
                return Ok(at);
            }
            for entry in entry::parse(&string) {
                let size = (NAME + entry.name.len() + 1).next_multiple_of(8);
                let Some(record) = buffer.get_mut(at..at + size) else {
                    return if at == 0 { Err(Errno::EINVAL) } else { Ok(at) };
                };
                record.fill(0);
                record[..8].copy_from_slice(&entry.inode.to_le_bytes());
                record[8..16].copy_from_slice(&entry.next.to_le_bytes());
                record[16..18].copy_from_slice(&(size as u16).to_le_bytes());
                record[18] = entry.kind;
                record[NAME..NAME + entry.name.len()].copy_from_slice(entry.name);
                at += size;
                self.position.set(entry.next);
            }
        }
    }
}
