// SPDX-License-Identifier: BSD-2-Clause
//! Sockets.

pub mod address;
pub mod options;
pub mod ports;
