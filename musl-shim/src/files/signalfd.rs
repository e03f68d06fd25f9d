// SPDX-License-Identifier: BSD-2-Clause
//! A signalfd as a file: reads take signals that wait for the calling thread or the process.

use alloc::boxed::Box;
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::ptr;

use vfs_hooks::signalfd::SignalFd;
use vfs_hooks::source::SourceId;

use super::{File, OpenFile};
use crate::abi::{O_NONBLOCK, O_RDWR};
use crate::errno::Errno;
use crate::inherit::Heir;
use crate::poller::core;
use crate::shared::Shared;
use crate::signal;

/// sizeof(struct signalfd_siginfo).
const RECORD: usize = 128;

/// Those that are open.
static OPEN: Shared<Vec<Weak<SignalFd>>> = Shared::new(Vec::new());

/// What signalfd4(2) makes.
pub struct SignalFile(Rc<SignalFd>);

impl SignalFile {
    /// One for the signals of `set`; `flags`: O_NONBLOCK.
    pub fn open(set: u64, flags: u32) -> Rc<OpenFile> {
        let fd = Rc::new(SignalFd::new(&mut *core(), set));
        let level = Box::new(fd.level(signal::pending));
        // It has no cells, so all its watchers have room.
        let _ = core().set_remote(fd.source(), Some(level));
        OPEN.lock().push(Rc::downgrade(&fd));
        OpenFile::new(SignalFile(fd), O_RDWR | flags & O_NONBLOCK)
    }

    /// Another set.
    pub fn set(&self, set: u64) {
        self.0.set(&mut *core(), set);
    }
}

impl Drop for SignalFile {
    fn drop(&mut self) {
        OPEN.lock().retain(|fd| !ptr::eq(fd.as_ptr(), &*self.0));
    }
}

/// A signal has become pending: tells those who watch.
pub fn raised() {
    let fds: Vec<Rc<SignalFd>> = OPEN.lock().iter().filter_map(Weak::upgrade).collect();
    fds.iter().for_each(|fd| fd.raised(&mut *core()));
}

impl File for SignalFile {
    fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        if buffer.len() < RECORD {
            return Err(Errno::EINVAL);
        }
        let mut len = 0;
        for room in buffer.chunks_exact_mut(RECORD) {
            let Some(info) = signal::take(self.0.signals()) else {
                break;
            };
            room.copy_from_slice(&info.signalfd_siginfo());
            len += RECORD;
        }
        if len == 0 {
            Err(Errno::EAGAIN)
        } else {
            Ok(len)
        }
    }

    fn can_write(&self) -> bool {
        false
    }

    fn source(&self) -> SourceId {
        self.0.source()
    }

    fn signals(&self) -> Option<&SignalFile> {
        Some(self)
    }

    fn inherit(&self) -> Result<Option<Heir>, Errno> {
        Ok(Some(Heir::Signals(self.0.signals())))
    }
}
