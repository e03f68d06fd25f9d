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

/// Puts a struct linux_dirent64 at the start of a buffer: inode, offset of the next, length, type, name. How long it is; `None`: there is no room.
pub fn put_entry(
    buffer: &mut [u8],
    (inode, next, kind, name): (u64, u64, u8, &[u8]),
) -> Option<usize> {
    const NAME: usize = 19;
    let size = (NAME + name.len() + 1).next_multiple_of(8);
    let record = buffer.get_mut(..size)?;
    record.fill(0);
    record[..8].copy_from_slice(&inode.to_le_bytes());
    record[8..16].copy_from_slice(&next.to_le_bytes());
    record[16..18].copy_from_slice(&(size as u16).to_le_bytes());
    record[18] = kind;
    record[NAME..NAME + name.len()].copy_from_slice(name);
    Some(size)
}

impl File for Directory {
    fn inherit(&self) -> Result<Option<Heir>, Errno> {
        let channel = self.position.share()?;
        Ok(Some(Heir::Directory(self.inode, channel)))
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

    fn read_entries(&self, address: usize, len: usize) -> Result<usize, Errno> {
        let buffer = user::bytes_mut(address, len)?;
        let mut at = 0;
        loop {
            let (string, count) = tree::list(self.inode, self.position.get())?;
            if count == 0 {
                return Ok(at);
            }
            for entry in entry::parse(&string) {
                let parts = (entry.inode, entry.next, entry.kind, entry.name);
                let Some(size) = put_entry(&mut buffer[at..], parts) else {
                    return if at == 0 { Err(Errno::EINVAL) } else { Ok(at) };
                };
                at += size;
                self.position.set(entry.next);
            }
        }
    }
}
