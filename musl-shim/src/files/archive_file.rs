// SPDX-License-Identifier: BSD-2-Clause
//! Files and directories of the boot archive: read-only, always ready, not for epoll.

use alloc::rc::Rc;
use alloc::vec::Vec;

use crate::errno::Errno;
use crate::inherit::Heir;

use super::position::Position;
use super::{ARCHIVE_DEVICE, File, Mappable, archive};
use crate::abi::{Stat, Timespec};
use crate::archive::Entry;
use crate::process::UID;
use crate::user;

/// lseek's `whence`.
const SEEK_SET: usize = 0;
const SEEK_CUR: usize = 1;
const SEEK_END: usize = 2;
const SEEK_DATA: usize = 3;
const SEEK_HOLE: usize = 4;

/// An open regular file: contents and position.
#[derive(Debug)]
pub struct Regular {
    entry: Entry,
    position: Position,
}

impl Regular {
    /// The file, at its start.
    pub fn new(entry: Entry) -> Regular {
        Regular::at(entry, Position::default())
    }

    /// The file, at a position.
    pub fn at(entry: Entry, position: Position) -> Regular {
        Regular { entry, position }
    }
}

/// Copies what lies at `position`; how much.
fn copy_at(data: &[u8], position: u64, buffer: &mut [u8]) -> usize {
    let rest = usize::try_from(position)
        .ok()
        .and_then(|position| data.get(position..))
        .unwrap_or(&[]);
    let n = rest.len().min(buffer.len());
    buffer[..n].copy_from_slice(&rest[..n]);
    n
}

/// The new position for lseek(2) in a file of `size` bytes.
fn seek(position: u64, size: u64, offset: i64, whence: usize) -> Result<u64, Errno> {
    let base = match whence {
        SEEK_SET => 0,
        SEEK_CUR => position,
        SEEK_END => size,
        // No holes but the one behind the end.
        SEEK_DATA | SEEK_HOLE => {
            return match u64::try_from(offset) {
                Ok(at) if at < size => Ok(if whence == SEEK_DATA { at } else { size }),
                _ => Err(Errno::ENXIO),
            };
        }
        _ => return Err(Errno::EINVAL),
    };
    base.checked_add_signed(offset)
        .filter(|&at| at <= i64::MAX as u64)
        .ok_or(if offset > 0 {
            Errno::EOVERFLOW
        } else {
            Errno::EINVAL
        })
}

/// What stat(2) says about an entry of the archive.
pub fn stat(entry: &Entry) -> Stat {
    let time = Timespec {
        tv_sec: i64::from(entry.modified),
        tv_nsec: 0,
    };
    let size = entry.data.len() as i64;
    Stat {
        st_dev: ARCHIVE_DEVICE,
        st_ino: entry.inode,
        st_nlink: if entry.is_directory() { 2 } else { 1 },
        st_mode: entry.mode,
        st_uid: UID as u32,
        st_gid: UID as u32,
        st_size: size,
        st_blocks: (size + 511) / 512,
        st_atime: time,
        st_mtime: time,
        st_ctime: time,
        ..super::empty_stat()
    }
}

impl File for Regular {
    fn inherit(&self) -> Result<Option<Heir>, Errno> {
        let channel = self.position.share()?;
        Ok(Some(Heir::Regular(self.entry.inode, channel)))
    }

    fn share(&self) -> Result<(), Errno> {
        self.position.share().map(drop)
    }

    fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let mut n = 0;
        self.position.advance(|position| {
            n = copy_at(self.entry.data, position, buffer);
            n as u64
        });
        Ok(n)
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> Result<usize, Errno> {
        Ok(copy_at(self.entry.data, position, buffer))
    }

    fn seek(&self, offset: i64, whence: usize) -> Result<u64, Errno> {
        let size = self.entry.data.len() as u64;
        self.position
            .set(seek(self.position.get(), size, offset, whence)?);
        Ok(self.position.get())
    }

    fn stat(&self) -> Stat {
        stat(&self.entry)
    }

    fn mappable(&self) -> Result<Mappable, Errno> {
        Ok(Mappable::Bytes(self.entry.data))
    }

    fn bytes_to_read(&self) -> Option<usize> {
        let left = (self.entry.data.len() as u64).saturating_sub(self.position.get());
        Some(left as usize)
    }
}

/// An open directory: its path, its entry, how many names were given out.
#[derive(Debug)]
pub struct Directory {
    path: Rc<[u8]>,
    entry: Entry,
    position: Position,
}

impl Directory {
    /// The directory at a plain path.
    pub fn new(path: &[u8], entry: Entry) -> Directory {
        Directory::at(path, entry, Position::default())
    }

    /// The directory, after so many names.
    pub fn at(path: &[u8], entry: Entry, position: Position) -> Directory {
        Directory {
            path: path.into(),
            entry,
            position,
        }
    }

    /// Name, inode and d_type of each entry, `.` and `..` first.
    fn names(&self) -> Vec<(&'static [u8], u64, u8)> {
        const DT_DIR: u8 = 4;
        const DT_REG: u8 = 8;
        let parent = self.path.iter().rposition(|&b| b == b'/').unwrap_or(0);
        archive(|archive| {
            let parent = archive.get(&self.path[..parent]).unwrap_or(self.entry);
            let mut names = Vec::from([
                (&b"."[..], self.entry.inode, DT_DIR),
                (b"..", parent.inode, DT_DIR),
            ]);
            names.extend(archive.list(&self.path).map(|(name, entry)| {
                let kind = if entry.is_directory() { DT_DIR } else { DT_REG };
                (name, entry.inode, kind)
            }));
            names
        })
    }
}

impl File for Directory {
    fn inherit(&self) -> Result<Option<Heir>, Errno> {
        let channel = self.position.share()?;
        Ok(Some(Heir::Directory(self.path.to_vec(), channel)))
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
        self.position
            .set(seek(self.position.get(), 0, offset, whence)?);
        Ok(self.position.get())
    }

    fn stat(&self) -> Stat {
        stat(&self.entry)
    }

    fn directory(&self) -> Option<&[u8]> {
        Some(&self.path)
    }

    /// struct linux_dirent64: inode, offset of the next, length, type, name.
    fn read_entries(&self, address: usize, len: usize) -> Result<usize, Errno> {
        const NAME: usize = 19;
        let buffer = user::bytes_mut(address, len)?;
        let mut at = 0;
        let start = self.position.get();
        for (i, (name, inode, kind)) in self.names().into_iter().enumerate().skip(start as usize) {
            let size = (NAME + name.len() + 1).next_multiple_of(8);
            let Some(record) = buffer.get_mut(at..at + size) else {
                if at == 0 {
                    return Err(Errno::EINVAL);
                }
                break;
            };
            record.fill(0);
            record[..8].copy_from_slice(&inode.to_le_bytes());
            record[8..16].copy_from_slice(&(i as u64 + 1).to_le_bytes());
            record[16..18].copy_from_slice(&(size as u16).to_le_bytes());
            record[18] = kind;
            record[NAME..NAME + name.len()].copy_from_slice(name);
            at += size;
            self.position.set(i as u64 + 1);
        }
        Ok(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeks_as_lseek_does() {
        assert_eq!(seek(5, 100, 10, SEEK_SET), Ok(10));
        assert_eq!(seek(5, 100, -5, SEEK_CUR), Ok(0));
        assert_eq!(seek(5, 100, 7, SEEK_END), Ok(107));
        assert_eq!(seek(5, 100, -6, SEEK_CUR), Err(Errno::EINVAL));
        assert_eq!(seek(5, 100, i64::MAX, SEEK_CUR), Err(Errno::EOVERFLOW));
        assert_eq!(seek(5, 100, 0, 9), Err(Errno::EINVAL));
        assert_eq!(seek(5, 100, 50, SEEK_HOLE), Ok(100));
        assert_eq!(seek(5, 100, 100, SEEK_DATA), Err(Errno::ENXIO));
    }

    #[test]
    fn reads_inside_and_beyond() {
        let mut buffer = [0; 4];
        assert_eq!(copy_at(b"abcdef", 4, &mut buffer), 2);
        assert_eq!(&buffer[..2], b"ef");
        assert_eq!(copy_at(b"abcdef", 6, &mut buffer), 0);
        assert_eq!(copy_at(b"abcdef", u64::MAX, &mut buffer), 0);
    }
}
