// SPDX-License-Identifier: BSD-2-Clause
//! What lies beneath the calls: seL4 and its servers, or a Linux process. The same names in both, so that nothing above knows which.
//!
//! | module | what it answers |
//! |---|---|
//! | `channels` | memory that other processes hold as well |
//! | `children` | other processes: start, wait, signals, groups |
//! | `clock` | CLOCK_MONOTONIC and CLOCK_REALTIME in nanoseconds |
//! | `console` | the terminal's bytes, and the system's log |
//! | `futex` | waiting for words of shared memory |
//! | `memory` | mapping pages, the heap's first piece, the archive |
//! | `net` | the net server, if there is one |
//! | `process` | start, end, identity, thread pointer, entropy |
//! | `processes` | what there is to tell of each process |
//! | `threads` | numbers of threads; parking and kicking them |
//! | `transport` | backends for the event core, which also block the thread |
//! | `udp` | UDP sockets: channels, names, the way to the network |
//! | `vfs` | names of files, and the memory that their contents are in |
//! | `stats` | the process's counters |
//! | `alarm` | has the process look at a time |
//!
//! and, in [`alone`] or in host mode's `mixed`, what differs if some calls and fds are the host's.

#[cfg(feature = "host")]
mod host;
#[cfg(feature = "host")]
pub use host::*;

#[cfg(any(test, feature = "library", not(feature = "host")))]
mod alone;
#[cfg(any(test, feature = "library", not(feature = "host")))]
pub use alone::*;

#[cfg(not(feature = "host"))]
mod sel4;
#[cfg(not(feature = "host"))]
pub use sel4::*;
