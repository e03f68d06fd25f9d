// SPDX-License-Identifier: BSD-2-Clause
//! Names of files. In host mode those are Linux's; the library has a root directory and the devices, and nothing that can be written.

use alloc::vec::Vec;
use core::ops::Range;

use vfs_hooks::file::Header;
use vfs_hooks::vfs::{Attributes, REPLY_WORDS, label};

use crate::abi::{O_ACCMODE, O_CREAT, O_DIRECTORY, O_EXCL, O_PATH, O_TRUNC};
use crate::errno::Errno;
use crate::files::tree::{DIRECTORY, TYPE};

/// An answer.
#[derive(Debug, Default)]
pub struct Reply {
    /// Words after the errno.
    pub words: [u64; REPLY_WORDS],
    /// The string.
    pub string: Vec<u8>,
}

/// Answers LOOKUP and OPEN of what there is, and PATH; EPERM for the rest.
pub fn ask(label: u64, words: [u64; 3], strings: [&[u8]; 2]) -> Result<Reply, Errno> {
    match label {
        label::LOOKUP | label::OPEN => {}
        label::PATH => {
            return Ok(Reply {
                string: b"/".to_vec(),
                ..Reply::default()
            });
        }
        _ => return Err(Errno::EPERM),
    }
    let name = strings[0].strip_prefix(b"/").unwrap_or(strings[0]);
    let device = |number| Attributes {
        inode: number,
        mode: 0o020666,
        links: 1,
        place: number,
        ..Attributes::default()
    };
    let attributes = match name {
        b"" | b"." => Attributes {
            inode: 1,
            mode: 0o040755,
            links: 2,
            ..Attributes::default()
        },
        b"dev/null" => device(1 << 8 | 3),
        b"dev/zero" => device(1 << 8 | 5),
        b"dev/full" => device(1 << 8 | 7),
        b"dev/random" => device(1 << 8 | 8),
        b"dev/urandom" => device(1 << 8 | 9),
        b"dev/tty" => device(5 << 8),
        b"dev/console" => device(5 << 8 | 1),
        _ => return Err(Errno::ENOENT),
    };
    if label == label::OPEN {
        may_open(&attributes, words[1] as u32)?;
    }
    Ok(Reply {
        words: attributes.words(),
        string: Vec::new(),
    })
}

/// What open(2) refuses by its flags alone.
fn may_open(attributes: &Attributes, flags: u32) -> Result<(), Errno> {
    let directory = attributes.mode & TYPE == DIRECTORY;
    let creates = flags & O_CREAT != 0;
    let writes = flags & O_PATH == 0 && flags & (O_ACCMODE | O_TRUNC) != 0;
    if creates && flags & O_EXCL != 0 {
        Err(Errno::EEXIST)
    } else if directory && (creates || writes) {
        Err(Errno::EISDIR)
    } else if !directory && flags & O_DIRECTORY != 0 {
        Err(Errno::ENOTDIR)
    } else {
        Ok(())
    }
}

/// There are none.
pub fn map(_: u32, _: Range<usize>, _: usize, _: u32) -> Result<(), Errno> {
    Err(Errno::ENOSYS)
}

/// There are none.
pub fn trim(_: u32, _: usize) {}

/// There are none.
pub fn release(_: u32) {}

/// There are none.
pub fn usage() -> Result<[u64; 2], Errno> {
    Ok([0; 2])
}

/// Nobody.
pub fn watching() -> bool {
    false
}

/// There are none: `ask` never gave a number.
pub fn header(_: u32) -> &'static Header {
    unreachable!("no shared file was opened")
}
