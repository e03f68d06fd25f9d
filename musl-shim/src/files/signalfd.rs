// SPDX-License-Identifier: BSD-2-Clause
//! A signalfd as a file: reads take signals that wait for the calling thread or the process.

use alloc::boxed::Box;
use alloc::rc::{Rc, Weak};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use vfs_hooks::signalfd::SignalFd;
use vfs_hooks::source::SourceId;

use super::position::Position;
use super::{File, OpenFile};
use crate::abi::{O_NONBLOCK, O_RDWR};
use crate::errno::Errno;
use crate::inherit::Heir;
use crate::platform::channels;
use crate::poller::core;
use crate::shared::Shared;
use crate::signal;

/// sizeof(struct signalfd_siginfo).
const RECORD: usize = 128;

/// Those that are open.
static OPEN: Shared<Vec<Weak<SignalFd>>> = Shared::new(Vec::new());

/// What signalfd4(2) makes.
pub struct SignalFile {
    fd: Rc<SignalFd>,
    /// The set, once other processes have it as well: in place of a position, in the channel that has the open file's flags. Then the set of `fd` is full.
    shared: Position,
    /// The number of that channel, for the level; [`OWN`]: there is none.
    channel: Arc<AtomicUsize>,
}

/// No channel.
const OWN: usize = usize::MAX;

impl SignalFile {
    /// One for the signals of `set`; `flags`: O_NONBLOCK.
    pub fn open(set: u64, flags: u32) -> Rc<OpenFile> {
        let file = SignalFile::new(set, Position::default(), OWN);
        OpenFile::new(file, O_RDWR | flags & O_NONBLOCK)
    }

    /// One that another process has passed on.
    pub fn inherited(channel: u32, flags: u32) -> Rc<OpenFile> {
        let shared = Position::inherited(channel);
        OpenFile::new(SignalFile::new(u64::MAX, shared, channel as usize), flags)
    }

    fn new(set: u64, shared: Position, channel: usize) -> SignalFile {
        let fd = Rc::new(SignalFd::new(&mut *core(), set));
        let channel = Arc::new(AtomicUsize::new(channel));
        let at = channel.clone();
        let level = Box::new(fd.level(move || match at.load(Relaxed) {
            OWN => signal::pending(),
            channel => signal::pending() & channels::header(channel).value.load(Relaxed),
        }));
        // It has no cells, so all its watchers have room.
        let _ = core().set_remote(fd.source(), Some(level));
        OPEN.lock().push(Rc::downgrade(&fd));
        SignalFile {
            fd,
            shared,
            channel,
        }
    }

    /// Its signals.
    fn signals(&self) -> u64 {
        match self.shared.channel() {
            None => self.fd.signals(),
            Some(_) => self.shared.get(),
        }
    }

    /// Another set.
    pub fn set(&self, set: u64) {
        if self.shared.channel().is_some() {
            self.shared.set(set);
            return self.fd.raised(&mut *core());
        }
        self.fd.set(&mut *core(), set);
    }

    /// Moves the set to where other processes have it as well; the channel's number.
    fn share_set(&self) -> Result<u32, Errno> {
        if let Some(channel) = self.shared.channel() {
            return Ok(channel as u32);
        }
        self.shared.set(self.fd.signals());
        let channel = self.shared.share()?;
        self.channel.store(channel as usize, Relaxed);
        self.fd.set(&mut *core(), u64::MAX);
        Ok(channel)
    }
}

impl Drop for SignalFile {
    fn drop(&mut self) {
        OPEN.lock().retain(|fd| !ptr::eq(fd.as_ptr(), &*self.fd));
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
            let Some(info) = signal::take(self.signals()) else {
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
        self.fd.source()
    }

    fn signals(&self) -> Option<&SignalFile> {
        Some(self)
    }

    fn inherit(&self) -> Result<Option<Heir>, Errno> {
        Ok(Some(Heir::Signals(self.share_set()?)))
    }

    fn share(&self) -> Result<(), Errno> {
        self.share_set().map(drop)
    }

    fn flags_side(&self) -> Option<(usize, usize)> {
        Some((self.shared.channel()?, 0))
    }
}
