// SPDX-License-Identifier: BSD-2-Clause
//! The calls as Linux defines them: thin translators over instances.

pub mod epoll;
pub mod poll;
pub mod select;
