// SPDX-License-Identifier: BSD-2-Clause
//! Messages to the VFS server. The badge of its endpoint names the process.
//!
//! A request: three words, then the lengths of two strings (16 bits each) in a fourth, then both strings, packed. A reply: an errno (0: done),
//! eight words, the length of a string, the string.
//!
//! Paths are relative to a directory that is named by its inode number; [`ROOT`] is the root's. A path that is longer than
//! [`MOST_STRINGS`] is walked in steps.
#![forbid(unsafe_code)]

/// Words before the strings of a request.
pub const REQUEST_WORDS: usize = 3;
/// Words of a reply after its errno.
pub const REPLY_WORDS: usize = 8;
/// Most bytes of both strings of a request, or of a reply's string.
pub const MOST_STRINGS: usize = 872;
/// Inode number that stands for the root directory.
pub const ROOT: u64 = 0;

/// What the name at a path's end stands for is not followed if it is a symbolic link.
pub const NO_FOLLOW: u64 = 1;
/// An empty path means the base itself.
pub const EMPTY_PATH: u64 = 2;

/// Bit of [`Attributes::place`]: a file number; else an offset in the boot archive.
pub const FILE: u64 = 1 << 63;

/// First word: base. Errors are those of the call that is named.
pub mod label {
    /// Path, flags [`NO_FOLLOW`](super::NO_FOLLOW), [`EMPTY_PATH`](super::EMPTY_PATH). Reply: attributes. stat(2).
    pub const LOOKUP: u64 = 1;
    /// Path; second word O_*, third the mode of what is made. Reply: attributes. Of a regular file the caller becomes a holder, unless it is still
    /// in the boot archive only. open(2).
    pub const OPEN: u64 = 2;
    /// Second word: where to go on (0: at the start). Reply: where to go on next, how many; string: entries, see [`entry`](super::entry). getdents(2).
    pub const LIST: u64 = 3;
    /// Path; second word the mode. mkdir(2).
    pub const MKDIR: u64 = 4;
    /// Path; second word st_mode, third the device's number, or what the node is to remember (sockets). Reply: attributes. mknod(2).
    pub const MKNOD: u64 = 5;
    /// Path; second word AT_REMOVEDIR or 0. Reply: attributes of what was no directory, after that. unlink(2), rmdir(2).
    pub const UNLINK: u64 = 6;
    /// Two paths; second word the second base, third RENAME_*. rename(2).
    pub const RENAME: u64 = 7;
    /// Two paths; second word the second base, third [`NO_FOLLOW`](super::NO_FOLLOW), [`EMPTY_PATH`](super::EMPTY_PATH) for the first. link(2).
    pub const LINK: u64 = 8;
    /// The link's contents, then its path. symlink(2).
    pub const SYMLINK: u64 = 9;
    /// Path, flags. Reply: string. readlink(2).
    pub const READLINK: u64 = 10;
    /// Path, flags; third word the permissions. chmod(2).
    pub const CHMOD: u64 = 11;
    /// Path, flags; third word user | group << 32, all ones: as it is. chown(2).
    pub const CHOWN: u64 = 12;
    /// Path, flags; third word unused. Second string: access and modification time, 8 bytes each, [`OMIT`](super::OMIT): as it is, [`NOW`](super::NOW). utimensat(2).
    pub const TIMES: u64 = 13;
    /// Reply: string, the absolute path of directory `base`. getcwd(2).
    pub const PATH: u64 = 14;
    /// Reply: inodes in use. statfs(2).
    pub const COUNT: u64 = 15;
    /// Base: any inode's number. Reply: string, an absolute path of it; ENOENT: it has none. For /proc.
    pub const NAME: u64 = 17;
    /// Third word: a channel of the caller's, which becomes an instance of inotify(7): its value is the number of bytes that wait. EMFILE, EBADF.
    pub const WATCHES_OPEN: u64 = 18;
    /// Path; second word IN_*, third the instance. Reply: the watch's number. inotify_add_watch(2).
    pub const WATCH_ADD: u64 = 19;
    /// Second word: the watch's number, third the instance. inotify_rm_watch(2).
    pub const WATCH_REMOVE: u64 = 20;
    /// Second word: most bytes, third the instance. Reply: string, events as read(2) gives them. EAGAIN, EINVAL.
    pub const WATCHES_READ: u64 = 21;
    /// Base: any inode's number; second word what the caller did to it, of [`BY_PROCESSES`](crate::inotify::mask::BY_PROCESSES).
    pub const WATCH_TELL: u64 = 22;
    /// Base: any inode's number; the rest as [`file_lock`](crate::file_lock) has it. flock(2), fcntl(2).
    pub const LOCK: u64 = 16;
}

/// A time that is left as it is.
pub const OMIT: u64 = u64::MAX;
/// The present time.
pub const NOW: u64 = u64::MAX - 1;

/// What stat(2) says, and where the contents are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// st_ino.
    pub inode: u64,
    /// st_mode. 0: the place belongs to the caller itself (/proc, whose number `inode` is), which finds the rest of the path in the reply's string.
    pub mode: u32,
    /// st_nlink.
    pub links: u32,
    /// st_size.
    pub size: u64,
    /// CLOCK_REALTIME, nanoseconds.
    pub modified: u64,
    /// CLOCK_REALTIME, nanoseconds.
    pub changed: u64,
    /// CLOCK_REALTIME, nanoseconds.
    pub accessed: u64,
    /// Regular file: see [`FILE`]. Device: its number (major << 8 | minor). FIFO that was opened: a [`Place`](crate::fifo::Place). Socket: what it was made with.
    pub place: u64,
    /// 1: the call made it.
    pub created: u64,
}

impl Attributes {
    /// As words of a reply.
    pub fn words(&self) -> [u64; REPLY_WORDS] {
        [
            self.inode,
            u64::from(self.mode) | u64::from(self.links) << 32,
            self.size,
            self.modified,
            self.changed,
            self.accessed,
            self.place,
            self.created,
        ]
    }

    /// From words of a reply.
    pub fn from_words(words: &[u64; REPLY_WORDS]) -> Attributes {
        let [
            inode,
            both,
            size,
            modified,
            changed,
            accessed,
            place,
            created,
        ] = *words;
        Attributes {
            inode,
            mode: both as u32,
            links: (both >> 32) as u32,
            size,
            modified,
            changed,
            accessed,
            place,
            created,
        }
    }
}

/// Entries of a directory, one after the other: inode number, where to go on after it (8 bytes each, little-endian), d_type, length of the
/// name (a byte each), name.
pub mod entry {
    /// Bytes before the name.
    pub const HEADER: usize = 18;

    /// An entry in its parts.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Entry<'a> {
        /// d_ino.
        pub inode: u64,
        /// d_off.
        pub next: u64,
        /// d_type.
        pub kind: u8,
        /// d_name.
        pub name: &'a [u8],
    }

    /// Those of a reply's string.
    pub fn parse(mut bytes: &[u8]) -> impl Iterator<Item = Entry<'_>> {
        core::iter::from_fn(move || {
            let (header, rest) = bytes.split_at_checked(HEADER)?;
            let (name, rest) = rest.split_at_checked(header[17] as usize)?;
            bytes = rest;
            let word = |at: usize| header[at..at + 8].try_into().map(u64::from_le_bytes);
            Some(Entry {
                inode: word(0).ok()?,
                next: word(8).ok()?,
                kind: header[16],
                name,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_go_through_words() {
        let attributes = Attributes {
            inode: 1,
            mode: 0o100644,
            links: u32::MAX,
            size: 4,
            modified: 5,
            changed: 6,
            accessed: 7,
            place: FILE | 8,
            created: 1,
        };
        assert_eq!(Attributes::from_words(&attributes.words()), attributes);
    }

    #[test]
    fn entries_are_parsed_and_one_that_is_cut_ends_them() {
        let mut bytes = [0; 2 * entry::HEADER + 5];
        bytes[0] = 9;
        bytes[8] = 1;
        bytes[16] = 8;
        bytes[17] = 2;
        bytes[18..20].copy_from_slice(b"ab");
        let second = entry::HEADER + 2;
        // It says four bytes of name, and has three.
        bytes[second + 17] = 4;
        let mut entries = entry::parse(&bytes);
        let first = entry::Entry {
            inode: 9,
            next: 1,
            kind: 8,
            name: b"ab",
        };
        assert_eq!(entries.next(), Some(first));
        assert_eq!(entries.next(), None);
    }
}
