// SPDX-License-Identifier: BSD-2-Clause
//! What stat(2) says of files without a place in the tree.

use super::{ANONYMOUS_DEVICE, BLOCK};
use crate::abi::*;
use crate::process::UID;

/// All fields zero but what every file has.
pub fn empty_stat() -> Stat {
    let zero = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    Stat {
        st_dev: ANONYMOUS_DEVICE,
        st_ino: 1,
        st_nlink: 1,
        st_mode: 0,
        st_uid: UID as u32,
        st_gid: UID as u32,
        pad: 0,
        st_rdev: 0,
        st_size: 0,
        st_blksize: BLOCK,
        st_blocks: 0,
        st_atime: zero,
        st_mtime: zero,
        st_ctime: zero,
        reserved: [0; 3],
    }
}

/// What stat(2) says about a character device.
pub fn character_stat(major: u64, minor: u64) -> Stat {
    Stat {
        st_mode: S_IFCHR | 0o666,
        st_rdev: major << 8 | minor,
        st_ino: major << 8 | minor,
        ..empty_stat()
    }
}
