// SPDX-License-Identifier: BSD-2-Clause
//! Events of inotify(7) as processes and the VFS server name them, and the form in which they are read.
#![forbid(unsafe_code)]

/// IN_* (inotify(7)).
#[allow(missing_docs, reason = "inotify(7) documents them")]
pub mod mask {
    pub const ACCESS: u32 = 1;
    pub const MODIFY: u32 = 2;
    pub const ATTRIB: u32 = 4;
    pub const CLOSE_WRITE: u32 = 8;
    pub const CLOSE_NOWRITE: u32 = 0x10;
    pub const OPEN: u32 = 0x20;
    pub const MOVED_FROM: u32 = 0x40;
    pub const MOVED_TO: u32 = 0x80;
    pub const CREATE: u32 = 0x100;
    pub const DELETE: u32 = 0x200;
    pub const DELETE_SELF: u32 = 0x400;
    pub const MOVE_SELF: u32 = 0x800;
    /// All that can be watched for.
    pub const ALL: u32 = 0xfff;
    pub const Q_OVERFLOW: u32 = 0x4000;
    pub const IGNORED: u32 = 0x8000;
    pub const ONLYDIR: u32 = 0x0100_0000;
    pub const DONT_FOLLOW: u32 = 0x0200_0000;
    pub const EXCL_UNLINK: u32 = 0x0400_0000;
    pub const MASK_CREATE: u32 = 0x1000_0000;
    pub const MASK_ADD: u32 = 0x2000_0000;
    pub const ISDIR: u32 = 0x4000_0000;
    pub const ONESHOT: u32 = 0x8000_0000;
    /// What processes tell of, since they do it themselves.
    pub const BY_PROCESSES: u32 = ACCESS | MODIFY | CLOSE_WRITE | CLOSE_NOWRITE;
}

/// Bytes of struct inotify_event before the name.
pub const HEADER: usize = 16;
/// Most events that wait in an instance.
pub const MOST_EVENTS: usize = 4096;
/// Most instances.
pub const MOST_INSTANCES: usize = 128;
/// Most watches in all.
pub const MOST_WATCHES: usize = 8192;

/// Bytes of an event with a name of that length: names end with a NUL and are filled up to whole headers.
pub fn size(name: usize) -> usize {
    match name {
        0 => HEADER,
        _ => HEADER + (name + 1).next_multiple_of(HEADER),
    }
}
