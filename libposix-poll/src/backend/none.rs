// SPDX-License-Identifier: BSD-2-Clause
//! No backend: for a process all of whose sources are its own, or tell of themselves by publishing.

use crate::backend::{AttachError, BufferSize, Collected, Kernel, QueueId};
use crate::errno::Errno;

/// A kernel that has no watch slots. To watch a source that signals is ENOSPC.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoWatches;

impl Kernel for NoWatches {
    fn has_queues(&self) -> bool {
        false
    }

    fn grow_watches(&mut self) -> Result<u32, Errno> {
        Err(Errno::NOMEM)
    }

    fn queue_create(&mut self) -> Result<QueueId, Errno> {
        Err(Errno::NOMEM)
    }

    fn queue_destroy(&mut self, _: QueueId) {}

    fn queue_enlarge(&mut self, _: QueueId) -> Result<Collected, Errno> {
        Err(Errno::NOMEM)
    }

    fn attach(&mut self, _: QueueId, _: u32, _: u64) -> Result<(), AttachError> {
        Err(AttachError::Refused)
    }

    fn detach(&mut self, _: QueueId, _: u32) {}

    fn tail(&self, _: QueueId, _: BufferSize) -> u64 {
        0
    }

    fn entry(&self, _: QueueId, _: BufferSize, _: u64) -> u64 {
        0
    }

    fn collect(&mut self, _: QueueId) -> Collected {
        Collected::default()
    }

    fn poll_bits(&mut self) -> u64 {
        0
    }
}
