// SPDX-License-Identifier: BSD-2-Clause
//! Other processes: starting them, waiting for them, signals to and from them. All by requests to the root server.

use core::sync::atomic::Ordering;

use vfs_hooks::process::STOPPED;
use vfs_hooks::spawn::Block;
use vfs_hooks::wire::root;

use super::info::info;
use super::server::{self, ask_root};
use crate::errno::Errno;
use crate::process::Usage;
use crate::siginfo::{Info, SI_USER};
use crate::signal::LAST;

fn request(label: u64, block: &Block) -> Result<usize, Errno> {
    let bytes = block.bytes();
    let [pid, ..] = ask_root(label, [bytes.as_ptr() as u64, bytes.len() as u64, 0])?;
    Ok(pid as usize)
}

/// ENOSYS where there can be none: in host mode.
pub fn supported() -> Result<(), Errno> {
    Ok(())
}

/// Starts a child; its process id.
pub fn spawn(block: &Block) -> Result<usize, Errno> {
    request(root::SPAWN, block)
}

/// Replaces the program. Returns only if that did not work.
pub fn exec(block: &Block) -> Errno {
    match request(root::EXEC, block) {
        Err(errno) => errno,
        // The root server answers nothing when it has replaced the caller.
        Ok(_) => Errno::ENOSYS,
    }
}

/// Copies the process: the child's id in the parent, 0 in the child.
pub fn fork() -> Result<usize, Errno> {
    let (mut mxcsr, mut control) = (0u32, 0u16);
    // SAFETY: stores two control registers in two variables.
    unsafe {
        core::arch::asm!(
            "stmxcsr [{}]", "fnstcw [{}]", in(reg) &raw mut mxcsr, in(reg) &raw mut control,
            options(nostack, preserves_flags)
        );
    }
    let [pid, ..] = ask_root(root::FORK, [super::threads::current() as u64, 0, 0])?;
    if pid == 0 {
        server::after_fork();
        // A new thread starts with the processor's defaults; rounding and the like are inherited.
        // SAFETY: loads what was stored above.
        unsafe {
            core::arch::asm!(
                "ldmxcsr [{}]", "fldcw [{}]", in(reg) &raw const mxcsr, in(reg) &raw const control,
                options(nostack, preserves_flags)
            );
        }
    }
    Ok(pid as usize)
}

/// A child, its wait status and what it used; `wanted`: bits of the request WAIT. EAGAIN: none yet; ECHILD.
pub fn wait(which: i32, wanted: u64) -> Result<(usize, u32, Usage), Errno> {
    let [pid, status, time] = ask_root(root::WAIT, [i64::from(which) as u64, wanted, 0])?;
    let peak = status >> 32;
    Ok((pid as usize, status as u32, Usage { time, peak }))
}

/// Grows with every child that ends.
pub fn ended() -> u32 {
    info().ended.load(Ordering::Acquire)
}

/// kill(2) of others.
pub fn kill(whom: i32, signal: usize) -> Result<(), Errno> {
    queue(whom, signal, SI_USER, 0)
}

/// The same with si_code and si_value: sigqueue(3).
pub fn queue(whom: i32, signal: usize, code: i32, value: u64) -> Result<(), Errno> {
    let word = signal as u64 | u64::from(code as u32) << 32;
    ask_root(root::KILL, [i64::from(whom) as u64, word, value]).map(drop)
}

/// Whether others sent signals.
#[inline]
pub fn has_signals() -> bool {
    info().signals.load(Ordering::Acquire) != 0
}

/// The process stops, as `signal` does by default.
pub fn stop(signal: usize) {
    // Nothing in it can be refused.
    let _ = ask_root(root::STOP, [signal as u64, 0, 0]);
}

/// Whether the process is stopped.
#[inline]
pub fn is_stopped() -> bool {
    info().signals.load(Ordering::Acquire) & STOPPED != 0
}

/// Takes a signal that others sent.
pub fn take_signal() -> Option<Info> {
    let [word, pid, value] = ask_root(root::TAKE_SIGNAL, [0; 3]).ok()?;
    let (signal, code) = (word as u32 as usize, (word >> 32) as i32);
    (1..=LAST)
        .contains(&signal)
        .then(|| Info::from(pid as usize, signal, code, value))
}

/// Whether children that end are to be forgotten.
pub fn forget(children: bool) {
    // Nothing in it can be refused.
    let _ = ask_root(root::FORGET_CHILDREN, [u64::from(children), 0, 0]);
}

/// Process id of the parent; 0: none.
pub fn parent() -> usize {
    info().parent.load(Ordering::Acquire) as usize
}

/// Own process group.
pub fn group() -> usize {
    info().group.load(Ordering::Acquire) as usize
}

/// Parent, group and session of a process.
pub fn ids(pid: usize) -> Result<[usize; 3], Errno> {
    ask_root(root::IDS, [pid as u64, 0, 0]).map(|ids| ids.map(|id| id as usize))
}

/// setpgid(2).
pub fn set_group(pid: usize, group: usize) -> Result<(), Errno> {
    ask_root(root::SET_GROUP, [pid as u64, group as u64, 0]).map(drop)
}

/// setsid(2).
pub fn new_session() -> Result<usize, Errno> {
    ask_root(root::NEW_SESSION, [0; 3]).map(|[session, ..]| session as usize)
}

/// Free memory in bytes, and how many processes there are.
pub fn usage() -> Result<[u64; 2], Errno> {
    ask_root(root::USAGE, [0; 3]).map(|[free, _, processes]| [free, processes])
}

/// Ends the process as `signal` does by default.
pub fn exit_by(signal: usize) -> ! {
    server::end(0, signal as u64)
}

/// What the program that started this one left to it.
pub fn inheritance() -> Option<&'static [u8]> {
    let [address, len] = info().inheritance;
    // SAFETY: the root server put that many bytes there, on the stack above all that the program uses of it.
    (len != 0).then(|| unsafe { core::slice::from_raw_parts(address as *const u8, len as usize) })
}
