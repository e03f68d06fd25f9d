// SPDX-License-Identifier: BSD-2-Clause
//! Files that are still in the boot archive: read-only, always ready, not for epoll. Who opens such a file for writing gets a copy in memory;
//! those who have it open already go on with what they have.

use alloc::rc::Rc;

use vfs_hooks::vfs::Attributes;

use crate::errno::Errno;
use crate::inherit::Heir;

use super::position::Position;
use super::tree::{archived, stat};
use super::{File, Mappable, OpenFile};
use crate::abi::{O_ACCMODE, Stat};

/// lseek's `whence`.
const SEEK_SET: usize = 0;
const SEEK_CUR: usize = 1;
const SEEK_END: usize = 2;
const SEEK_DATA: usize = 3;
const SEEK_HOLE: usize = 4;

/// An open regular file: contents and position.
#[derive(Debug)]
pub struct Regular {
    attributes: Attributes,
    data: &'static [u8],
    position: Position,
}

impl Regular {
    /// The file, at a position.
    pub fn at(attributes: Attributes, position: Position) -> Regular {
        Regular {
            data: archived(&attributes),
            attributes,
            position,
        }
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
pub fn seek(position: u64, size: u64, offset: i64, whence: usize) -> Result<u64, Errno> {
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

impl File for Regular {
    fn inherit(&self) -> Result<Option<Heir>, Errno> {
        let channel = self.position.share()?;
        Ok(Some(Heir::Archived(self.attributes, channel)))
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
        let mut n = 0;
        self.position.advance(|position| {
            n = copy_at(self.data, position, buffer);
            n as u64
        });
        Ok(n)
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> Result<usize, Errno> {
        Ok(copy_at(self.data, position, buffer))
    }

    fn seek(&self, offset: i64, whence: usize) -> Result<u64, Errno> {
        let size = self.data.len() as u64;
        self.position
            .set(seek(self.position.get(), size, offset, whence)?);
        Ok(self.position.get())
    }

    fn stat(&self) -> Stat {
        stat(&self.attributes)
    }

    fn inode(&self) -> Option<u64> {
        Some(self.attributes.inode)
    }

    fn again(&self, flags: u32) -> Option<Rc<OpenFile>> {
        let again = Regular::at(self.attributes, Position::default());
        Some(OpenFile::new(again, flags & !O_ACCMODE))
    }

    fn mappable(&self) -> Result<Mappable, Errno> {
        Ok(Mappable::Bytes(self.data))
    }

    fn bytes_to_read(&self) -> Option<usize> {
        let left = (self.data.len() as u64).saturating_sub(self.position.get());
        Some(left as usize)
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
