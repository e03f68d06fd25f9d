// SPDX-License-Identifier: BSD-2-Clause
//! Threads that compute are interrupted: sent to their process's entry for that, with their registers kept in their state page.
//!
//! Never a thread inside the shim: it may hold the core lock, or wait in a call, of which suspending it would lose the answer. Which it is
//! its own word tells. While this server runs, no thread of a program does (one processor), so what is read there cannot change before the
//! thread is suspended; on more processors the word would have to be read again after that, and the suspended thread let go on if it had entered.

use root_server::errno;
use sel4_bindings::*;
use vfs_hooks::sync::Ordering;
use vfs_hooks::thread::REGISTERS;

use crate::process::Process;
use crate::threads::Thread;

/// Bytes below a stack pointer that code may use without moving it (x86-64 psABI).
const RED_ZONE: u64 = 128;
/// An alternative signal stack of fewer bytes is not used for faults: what the shim needs on it would not fit (SIGSTKSZ).
const LEAST_STACK: u64 = 8192;

/// A fault that a handler of the program is to have: signal, si_code, address.
pub type Fault = [u64; 3];

impl Process {
    /// Has a thread look at what waits for the process: one inside the shim, else one outside that takes a signal of `set` (0: any thread). If there is none, the
    /// next call of any will.
    pub fn attend(&self, set: u64) {
        let inside = |thread: &Thread| thread.state().outside.load(Ordering::Relaxed) == 0;
        if let Some((_, thread)) = self.threads.running().find(|(_, thread)| inside(thread)) {
            self.kick_thread(thread);
            return;
        }
        let takes = |thread: &Thread| {
            let mask = thread.state().mask.load(Ordering::Relaxed);
            set == 0 || set & !mask != 0
        };
        if let Some((_, thread)) = self.threads.running().find(|(_, thread)| takes(thread)) {
            self.interrupt(thread, None);
        }
    }

    /// Has each thread look.
    pub fn attend_all(&self) {
        for (_, thread) in self.threads.running() {
            if !self.interrupt(thread, None) {
                self.kick_thread(thread);
            }
        }
    }

    /// INTERRUPT. Answers with an errno.
    pub fn notify(&self, number: u64) -> u64 {
        let Some(thread) = self.threads.get(number as usize) else {
            return errno::ESRCH;
        };
        if !self.interrupt(thread, None) {
            self.kick_thread(thread);
        }
        errno::OK
    }

    /// Ends a thread's wait.
    pub fn kick_thread(&self, thread: &Thread) {
        thread.notification.kick();
        // On an unmodified kernel it may be the one that waits for the process's watches.
        if self.notification.whole != thread.notification.whole {
            self.notification.kick();
        }
    }

    /// Whether a fault's signal has a handler that may run in the thread.
    pub fn handles(&self, thread: &Thread, signal: u64) -> bool {
        let bit = 1 << (signal - 1);
        let handled = self.threads.first.state().handled.load(Ordering::Relaxed);
        let mask = thread.state().mask.load(Ordering::Relaxed);
        handled & bit != 0 && mask & bit == 0
    }

    /// Sends a thread that is outside the shim to the process's entry. `false`: it is inside, or the entry is nonsense.
    pub fn interrupt(&self, thread: &Thread, fault: Option<Fault>) -> bool {
        let state = thread.state();
        let entry = self.threads.first.state().entry.load(Ordering::Relaxed);
        if entry == 0 || state.outside.load(Ordering::Relaxed) == 0 {
            return false;
        }
        // One that faulted waits for an answer, which it will not get.
        let suspend = fault.is_none();
        let Ok(old) = tcb_read_registers(thread.tcb, suspend, 0, UserContext::COUNT) else {
            return false;
        };
        for (word, value) in state.registers.iter().zip(words(&old)) {
            word.store(value, Ordering::Relaxed);
        }
        let fault = fault.unwrap_or_default();
        for (word, value) in state.fault.iter().zip(fault) {
            word.store(value, Ordering::Relaxed);
        }
        let [base, len] = [0, 1].map(|i: usize| state.stack[i].load(Ordering::Relaxed));
        let is_on_it = old.rsp.wrapping_sub(base) < len;
        let below = match fault[0] != 0 && len >= LEAST_STACK && !is_on_it {
            true => base.wrapping_add(len),
            false => old.rsp.wrapping_sub(RED_ZONE),
        };
        let new = UserContext {
            rip: entry,
            rsp: below & !15,
            rflags: 0x202,
            ..old
        };
        state.outside.store(0, Ordering::Relaxed);
        if tcb_write_registers(thread.tcb, true, 0, UserContext::COUNT, &new).is_ok() {
            return true;
        }
        // An entry that no program can have: as it was.
        state.outside.store(1, Ordering::Relaxed);
        let _ = tcb_write_registers(thread.tcb, suspend, 0, UserContext::COUNT, &old);
        false
    }
}

/// In the order of the interface.
fn words(r: &UserContext) -> [u64; REGISTERS] {
    [
        r.rip, r.rsp, r.rflags, r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp, r.r8, r.r9, r.r10,
        r.r11, r.r12, r.r13, r.r14, r.r15, r.tls_base,
    ]
}
