// SPDX-License-Identifier: BSD-2-Clause
//! An epoll instance as a file: nothing but a source.

use libposix_poll::InstanceId;
use vfs_hooks::source::SourceId;

use super::File;
use crate::errno::Errno;
use crate::inherit::Heir;
use crate::poller::core;

/// What an epoll fd names. The instance ends with its source, when the file is closed.
pub struct EpollFile {
    instance: InstanceId,
    source: SourceId,
}

impl EpollFile {
    /// A new instance.
    pub fn new() -> EpollFile {
        let (instance, source) = core().epoll_create();
        EpollFile { instance, source }
    }
}

impl File for EpollFile {
    fn can_write(&self) -> bool {
        false
    }

    /// Linux's has ioctls of its own, and says so of all others.
    fn ioctl(&self, _request: u32, _argument: usize) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    fn inherit(&self) -> Result<Option<Heir>, Errno> {
        Ok(Some(Heir::Epoll))
    }

    fn source(&self) -> SourceId {
        self.source
    }

    fn epoll(&self) -> Option<InstanceId> {
        Some(self.instance)
    }
}
