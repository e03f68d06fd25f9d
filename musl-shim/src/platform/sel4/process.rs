// SPDX-License-Identifier: BSD-2-Clause
//! The process as the root server made it.

use vfs_hooks::process::INFO_MAGIC;
use vfs_hooks::wire::root;

use super::info::info;
use super::server;
use crate::errno::Errno;

pub use super::server::exit;
#[cfg(test)]
pub use super::server::exit as end_thread;
#[cfg(not(test))]
pub use super::thread::end as end_thread;

/// Comes first: makes the rest of this folder usable.
pub fn start() {
    if info().magic != INFO_MAGIC {
        // Not started by our root server: there is nobody to tell.
        // SAFETY: stops the program at once; nothing after it runs.
        unsafe { core::arch::asm!("ud2", options(noreturn)) };
    }
    sel4_bindings::set_kernel(match info().queue_kernel {
        0 => sel4_bindings::Kernel::Stock,
        _ => sel4_bindings::Kernel::Queue,
    });
    #[cfg(not(test))]
    crate::state::state().seen.entry.store(
        super::interrupt::entry(),
        core::sync::atomic::Ordering::Relaxed,
    );
}

/// Process id, and thread id of the first thread.
pub fn pid() -> usize {
    info().process as usize
}

/// Lets others run.
pub fn give_way() {
    sel4_bindings::yield_();
}

/// Sets the thread pointer.
pub fn set_tls(base: usize) -> Result<(), Errno> {
    let thread = super::threads::current() as u64;
    server::ask_root(root::SET_TLS, [base as u64, thread, 0]).map(drop)
}

/// Entropy; not cryptographic: see CAVEATS.
pub fn seed() -> [u64; 4] {
    let mut seed = info().random;
    seed[0] ^= sel4_bindings::rdtsc();
    seed
}

/// What uname(2) says of the kernel.
pub fn version() -> &'static str {
    match info().queue_kernel {
        0 => "seL4 5.0.0",
        _ => "seL4 5.0.0 with notification queues",
    }
}
