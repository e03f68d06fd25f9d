// SPDX-License-Identifier: BSD-2-Clause
//! Handlers of signals, which Linux calls by way of ours: so a read or write of ours that one interrupted knows whether it is to go on (SA_RESTART).

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use vfs_hooks::lock::MAX_THREADS;

use super::super::raw::{self, nr};
use super::numbers::current;
use crate::abi::Sigaction;
use crate::dispatch::Args;
use crate::signal::LAST;
use crate::user;

const SA_RESTART: u64 = 0x1000_0000;
/// musl's own signals: they end a call, whatever their flags say (cancellation).
const INTERNAL: core::ops::RangeInclusive<usize> = 32..=34;

/// The program's handler of each signal.
static HANDLERS: [AtomicUsize; LAST + 1] = [const { AtomicUsize::new(0) }; LAST + 1];
static RESTARTS: [AtomicBool; LAST + 1] = [const { AtomicBool::new(false) }; LAST + 1];
/// By thread: a handler without SA_RESTART ran.
static STOPPED: [AtomicBool; MAX_THREADS] = [const { AtomicBool::new(false) }; MAX_THREADS];

type Handler = extern "C" fn(i32, *mut u8, *mut u8);

extern "C" fn handle(signal: i32, info: *mut u8, context: *mut u8) {
    let number = signal as usize;
    // SAFETY: the program installed this address as a handler; Linux gives all handlers three arguments.
    let handler: Handler = unsafe { core::mem::transmute(HANDLERS[number].load(Relaxed)) };
    handler(signal, info, context);
    if !RESTARTS[number].load(Relaxed) || INTERNAL.contains(&number) {
        STOPPED[current()].store(true, Relaxed);
    }
}

/// rt_sigaction(2).
pub fn set(args: &Args) -> isize {
    let [number, new, old, size, ..] = *args;
    let mut before = Sigaction {
        handler: 0,
        flags: 0,
        restorer: 0,
        mask: 0,
    };
    let ours = handle as Handler as usize;
    let recorded = HANDLERS
        .get(number)
        .map_or(0, |handler| handler.load(Relaxed));
    let mut action = None;
    if new != 0 {
        let Ok(mut wanted) = user::read::<Sigaction>(new) else {
            return -(crate::errno::Errno::EFAULT.raw() as isize);
        };
        // SIG_DFL and SIG_IGN go as they are.
        if wanted.handler > 1 && (1..=LAST).contains(&number) {
            HANDLERS[number].store(wanted.handler as usize, Relaxed);
            RESTARTS[number].store(wanted.flags & SA_RESTART != 0, Relaxed);
            wanted.handler = ours as u64;
        }
        action = Some(wanted);
    }
    let action = action
        .as_ref()
        .map_or(0, |action| &raw const *action as usize);
    let args = [number, action, &raw mut before as usize, size, 0, 0];
    // SAFETY: the kernel reads one action of ours and writes the other; the handler is ours, with the program's restorer.
    let result = unsafe { raw::syscall(nr::RT_SIGACTION, &args) };
    if result == 0 && old != 0 {
        if before.handler == ours as u64 {
            before.handler = recorded as u64;
        }
        if user::write(old, before).is_err() {
            return -(crate::errno::Errno::EFAULT.raw() as isize);
        }
    }
    result
}

/// Whether a handler without SA_RESTART ran in the calling thread since the last time.
pub fn take_stop() -> bool {
    STOPPED[current()].swap(false, Relaxed)
}
