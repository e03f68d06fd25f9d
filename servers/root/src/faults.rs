// SPDX-License-Identifier: BSD-2-Clause
//! Fault reports, and the signal that a fault means.

use core::fmt;

use sel4_bindings::fault::Fault;
use sel4_bindings::*;

use crate::log;
use crate::process::Process;

// Signal numbers of Linux on x86_64.
const SIGILL: u8 = 4;
const SIGTRAP: u8 = 5;
const SIGBUS: u8 = 7;
const SIGFPE: u8 = 8;
const SIGSEGV: u8 = 11;
const SIGSYS: u8 = 31;

/// The low 32 bits of the address of a page fault at a page that is not mapped: all that this kernel tells (`handleVMFault`). Regions that
/// grow differ in them; whoever guesses wrong meets the same fault again, with a page there that cannot help.
pub fn missing_page(message: &Message) -> Option<u32> {
    match Fault::of(message) {
        Some(Fault::Page { address, code, .. }) if code & 1 == 0 => Some(address as u32),
        _ => None,
    }
}

/// A fault as the program's handler is told of it: signal, si_code, address (sigaction(2)). `None`: of a kind that no program has on Linux.
pub fn of_program(tcb: CPtr, message: &Message) -> Option<[u64; 3]> {
    const SEGV_MAPERR: u64 = 1;
    const SEGV_ACCERR: u64 = 2;
    const SI_KERNEL: u64 = 0x80;
    const FPE_INTDIV: u64 = 1;
    const FPE_FLTINV: u64 = 7;
    const ILL_ILLOPN: u64 = 2;
    const ONLY_CODE: u64 = 1;
    let fault = Fault::of(message)?;
    let signal = signal_of(&fault).into();
    let rip = fault.rip();
    let (code, address) = match fault {
        Fault::Page { address, code, .. } => {
            let registers = tcb_read_registers(tcb, false, 0, UserContext::COUNT).ok()?;
            let code = if code & 1 == 0 {
                SEGV_MAPERR
            } else {
                SEGV_ACCERR
            };
            (code, whole_address(address, &registers))
        }
        Fault::Exception { number, .. } => match number {
            0 => (FPE_INTDIV, rip),
            16 | 19 => (FPE_FLTINV, rip),
            6 => (ILL_ILLOPN, rip),
            1 | 3 | 17 => (ONLY_CODE, rip),
            _ => (SI_KERNEL, 0),
        },
        _ => return None,
    };
    Some([signal, code, address])
}

/// Reports the fault of a thread that `message` tells of; returns the signal's number.
pub fn report(process: &Process, tcb: CPtr, message: &Message) -> u64 {
    let (number, path) = (process.number, &process.path);
    let Some(fault) = Fault::of(message) else {
        let label = message.info.label();
        log!("fault: process {number} ({path}): of a kind that seL4 5.0.0 does not have ({label})");
        return SIGSEGV.into();
    };
    let registers = tcb_read_registers(tcb, false, 0, UserContext::COUNT);
    let registers = registers.unwrap_or_default();
    let (rip, rsp) = (fault.rip() as usize, registers.rsp);
    let kind = Kind {
        fault: &fault,
        registers: &registers,
    };
    let place = Place { process, rip };
    log!("fault: process {number} ({path}): {kind} at {rip:#x}{place}; rsp {rsp:#x}");
    signal_of(&fault).into()
}

fn signal_of(fault: &Fault) -> u8 {
    match fault {
        Fault::Page { .. } => SIGSEGV,
        Fault::UnknownSyscall { .. } | Fault::Capability { .. } => SIGSYS,
        Fault::Exception { number, .. } => match number {
            0 | 16 | 19 => SIGFPE,
            1 | 3 => SIGTRAP,
            6 => SIGILL,
            17 => SIGBUS,
            _ => SIGSEGV,
        },
    }
}

/// The address of a page fault. This kernel tells its low 32 bits only (`handleVMFault` of seL4 5.0.0); the others are those of a register
/// within a mebibyte of it, which the address was most likely made from, else zero as for an absolute address.
fn whole_address(low: u64, registers: &UserContext) -> u64 {
    const NEAR: u64 = 1 << 20;
    let r = registers;
    let bases = [
        r.rip, r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp, r.rsp, r.r8, r.r9, r.r10, r.r11,
        r.r12, r.r13, r.r14, r.r15,
    ];
    let candidate = |base: u64| {
        let ahead = (low as u32).wrapping_sub(base as u32) as i32;
        (base.wrapping_add_signed(ahead as i64), ahead.unsigned_abs())
    };
    bases
        .into_iter()
        .map(candidate)
        .filter(|(_, distance)| (*distance as u64) < NEAR)
        .min_by_key(|(_, distance)| *distance)
        .map_or(low, |(address, _)| address)
}

/// What happened, in words.
struct Kind<'a> {
    fault: &'a Fault,
    registers: &'a UserContext,
}

impl fmt::Display for Kind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self.fault {
            Fault::Page {
                rip, address, code, ..
            } => {
                let (mapped, write) = (code & 1 != 0, code & 2 != 0);
                let address = whole_address(address, self.registers);
                // The processor tells fetches from reads only where pages can forbid execution.
                let access = match (address == rip, write) {
                    (true, _) => "jump to",
                    (_, true) => "write to",
                    _ => "read from",
                };
                let why = match (mapped, write) {
                    (false, _) => "page not mapped",
                    (true, true) => "page is read-only",
                    _ => "page is not the program's",
                };
                write!(f, "{access} {address:#x} ({why})")
            }
            Fault::UnknownSyscall { rax, .. } => {
                write!(
                    f,
                    "stray syscall instruction (rax {rax}); system calls are function calls here: build with posix-poll-cc"
                )
            }
            Fault::Capability {
                address, receiving, ..
            } => {
                let verb = if receiving {
                    "receive from"
                } else {
                    "call or signal"
                };
                write!(f, "seL4 {verb} capability {address:#x}, which is not there")
            }
            Fault::Exception { number, code, .. } => {
                let name = match number {
                    0 => "division by zero or overflow",
                    1 => "debug exception",
                    3 => "breakpoint",
                    6 => "invalid instruction",
                    13 => "general protection (non-canonical address or privileged instruction)",
                    16 => "x87 floating-point exception",
                    17 => "misaligned access",
                    19 => "SSE floating-point exception",
                    _ => return write!(f, "processor exception {number} (code {code:#x})"),
                };
                f.write_str(name)
            }
        }
    }
}

/// Where in the program.
struct Place<'a> {
    process: &'a Process,
    rip: usize,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let elf = &self.process.image.elf;
        let inside = elf.segments.iter().any(|s| s.memory.contains(&self.rip));
        if !inside {
            f.write_str(" (outside the program)")
        } else if let Some((name, offset)) = elf.function(self.rip) {
            write!(f, " <{name}+{offset:#x}>")
        } else if let Some(offset) = elf.file_offset(self.rip) {
            write!(f, " (file offset {offset:#x})")
        } else {
            f.write_str(" (outside the program)")
        }
    }
}
