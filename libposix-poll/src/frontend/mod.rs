// SPDX-License-Identifier: BSD-2-Clause
//! The calls as Linux defines them: thin translators over [`Poller`](crate::poller::Poller).

pub mod epoll;
pub mod poll;
pub mod select;

/// Identity of an open file (open file description): never reused while anything refers to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u64);
