// SPDX-License-Identifier: BSD-2-Clause
//! An epoll instance as a file: nothing but a source.

use alloc::rc::Rc;

use libposix_poll::frontend::epoll::Epoll;
use vfs_hooks::source::{Readiness, Source};

use super::File;

/// What an epoll fd names.
pub struct EpollFile(Rc<Epoll>);

impl EpollFile {
    /// The file of an instance.
    pub fn new(epoll: Rc<Epoll>) -> EpollFile {
        EpollFile(epoll)
    }
}

impl File for EpollFile {
    fn source(&self) -> Option<Rc<dyn Source>> {
        Some(self.0.clone())
    }

    fn readiness(&self) -> Option<Readiness> {
        Some(self.0.readiness())
    }

    fn epoll(&self) -> Option<&Rc<Epoll>> {
        Some(&self.0)
    }
}
