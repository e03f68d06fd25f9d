// SPDX-License-Identifier: BSD-2-Clause
//! A process as a file (pidfd_open(2)): readable once it has ended. The root server writes that into a channel, of which this process
//! holds a side.

use alloc::rc::Rc;

use vfs_hooks::Events;
use vfs_hooks::source::{Edges, Readiness, SourceId};
use vfs_hooks::sync::Ordering;

use super::channel::Side;
use super::{File, OpenFile};
use crate::abi::{O_RDWR, Stat};
use crate::errno::Errno;
use crate::inherit::Heir;
use crate::platform::channels;

/// What pidfd_open(2) makes.
struct PidFile {
    side: Side,
    pid: usize,
}

/// A file for a process. ESRCH: there is none of that number.
pub fn open(pid: usize, flags: u32) -> Result<Rc<OpenFile>, Errno> {
    let channel = channels::of_process(pid)?;
    Ok(inherited(channel as u32, pid as u32, O_RDWR | flags))
}

/// One that another process has passed on.
pub fn inherited(channel: u32, pid: u32, flags: u32) -> Rc<OpenFile> {
    let file = PidFile {
        side: Side::inherited(channel as usize, 0, look),
        pid: pid as usize,
    };
    OpenFile::new(file, flags)
}

fn look(channel: usize, side: usize) -> Readiness {
    let header = channels::header(channel);
    let edges = Edges {
        input: header.sides[side].input.load(Ordering::Acquire),
        output: 0,
    };
    let mut events = Events::empty();
    let ended = header.value.load(Ordering::Acquire) != 0;
    events.set(Events::READABLE, ended);
    Readiness { events, edges }
}

impl File for PidFile {
    fn stat(&self) -> Stat {
        super::empty_stat()
    }

    fn source(&self) -> SourceId {
        self.side.source
    }

    fn pid(&self) -> Option<usize> {
        Some(self.pid)
    }

    /// Each pidfd has a channel of its own.
    fn flags_side(&self) -> Option<(usize, usize)> {
        Some((self.side.channel, self.side.side))
    }

    fn inherit(&self) -> Result<Option<Heir>, Errno> {
        let channel = self.side.channel as u32;
        Ok(Some(Heir::Process(channel, self.pid as u32)))
    }
}
