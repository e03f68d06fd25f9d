// SPDX-License-Identifier: BSD-2-Clause
//! An inode that is open by O_PATH: a name for it, and nothing to read or write.

use super::{File, tree};
use crate::abi::Stat;
use crate::errno::Errno;
use crate::inherit::Heir;

/// See the module.
#[derive(Debug)]
pub struct PathFile {
    inode: u64,
}

impl PathFile {
    /// The inode with this number.
    pub fn new(inode: u64) -> PathFile {
        PathFile { inode }
    }
}

impl File for PathFile {
    fn read(&self, _: &mut [u8]) -> Result<usize, Errno> {
        Err(Errno::EBADF)
    }

    fn read_at(&self, _: &mut [u8], _: u64) -> Result<usize, Errno> {
        Err(Errno::EBADF)
    }

    fn write(&self, _: &[u8]) -> Result<usize, Errno> {
        Err(Errno::EBADF)
    }

    fn seek(&self, _: i64, _: usize) -> Result<u64, Errno> {
        Err(Errno::EBADF)
    }

    fn stat(&self) -> Stat {
        match tree::attributes(self.inode) {
            Ok(attributes) => tree::stat(&attributes),
            Err(_) => super::empty_stat(),
        }
    }

    fn inode(&self) -> Option<u64> {
        Some(self.inode)
    }

    fn inherit(&self) -> Result<Option<Heir>, Errno> {
        Ok(Some(Heir::Path(self.inode)))
    }
}
