// SPDX-License-Identifier: BSD-2-Clause
//! What musl's assembly of threads, vfork and signal return jumps to.

use core::arch::global_asm;

use super::super::raw::{self, nr};
use super::{family, numbers, signals};
use crate::errno::Errno;
use crate::platform::threads;
use crate::poller;
use crate::shared::locked;

type Start = extern "C" fn(*mut u8) -> i32;

unsafe extern "C" {
    /// clone(2) of a thread, with the GS base of the new one.
    fn __host_clone(
        start: Start,
        stack: *mut u8,
        flags: i32,
        argument: *mut u8,
        parent_id: *mut i32,
        tls: usize,
        child_id: *mut i32,
        gs: usize,
    ) -> i32;
    /// munmap(2) and exit(2), without a stack in between.
    fn __host_unmapself(base: usize, len: usize) -> !;
    /// musl's: a result as C functions have it, errno set.
    fn __syscall_ret(result: usize) -> isize;
}

/// musl's `__clone`: for pthread_create a thread, for posix_spawn a process.
#[unsafe(no_mangle)]
extern "C" fn __sys_clone(
    start: Start,
    stack: *mut u8,
    flags: i32,
    argument: *mut u8,
    parent_id: *mut i32,
    tls: usize,
    child_id: *mut i32,
) -> i32 {
    const CLONE_THREAD: i32 = 0x10000;
    if flags & CLONE_THREAD == 0 {
        return match family::plain_fork() {
            0 => exit(start(argument)),
            result => result as i32,
        };
    }
    let Some(number) = numbers::take() else {
        return -Errno::EAGAIN.raw();
    };
    // Now, while an error can be told.
    if signals::uninterrupted(|| locked(|| threads::eventfd_of(number))) < 0 {
        numbers::give(number);
        return -Errno::EAGAIN.raw();
    }
    let gs = numbers::word(number);
    // SAFETY: musl's arguments as they came; the number is the new thread's alone.
    let result =
        unsafe { __host_clone(start, stack, flags, argument, parent_id, tls, child_id, gs) };
    if result < 0 {
        numbers::give(number);
    }
    result
}

fn exit(status: i32) -> ! {
    super::super::process::exit(status as u8)
}

/// musl's `vfork`: a fork.
#[unsafe(no_mangle)]
extern "C" fn __sys_vfork() -> i32 {
    let result = family::plain_fork() as usize;
    // SAFETY: it takes any result.
    unsafe { __syscall_ret(result) as i32 }
}

/// The calling thread makes no further call of ours.
pub fn ended() {
    let number = numbers::current();
    signals::uninterrupted(|| locked(|| poller::thread_ended(number)));
    numbers::give(number);
}

/// exit(2).
pub fn exit_thread(status: usize) -> ! {
    ended();
    loop {
        // SAFETY: the thread ends.
        unsafe { raw::syscall(nr::EXIT, &[status, 0, 0, 0, 0, 0]) };
    }
}

/// The end of a detached thread, and of its stack.
#[unsafe(no_mangle)]
extern "C" fn __sys_unmapself(base: usize, len: usize) -> ! {
    ended();
    // SAFETY: musl gives the thread's own stack, which nobody needs any longer.
    unsafe { __host_unmapself(base, len) }
}

global_asm!(
    ".globl __host_clone",
    ".hidden __host_clone",
    ".type __host_clone, @function",
    "__host_clone:",
    // The new thread finds function, argument and GS base on its stack.
    "    and rsi, -16",
    "    sub rsi, 32",
    "    mov [rsi], rdi",
    "    mov [rsi + 8], rcx",
    "    mov rax, [rsp + 16]",
    "    mov [rsi + 16], rax",
    "    mov edi, edx",
    "    mov rdx, r8",
    "    mov r8, r9",
    "    mov r10, [rsp + 8]",
    "    mov eax, {CLONE}",
    "    syscall",
    "    test eax, eax",
    "    jnz 2f",
    "    xor ebp, ebp",
    "    mov edi, {SET_GS}",
    "    mov rsi, [rsp + 16]",
    "    mov eax, {ARCH_PRCTL}",
    "    syscall",
    "    pop rax",
    "    pop rdi",
    "    call rax",
    // musl's start function does not return.
    "    ud2",
    "2:  ret",
    ".size __host_clone, . - __host_clone",
    ".globl __host_unmapself",
    ".hidden __host_unmapself",
    ".type __host_unmapself, @function",
    "__host_unmapself:",
    "    mov eax, {MUNMAP}",
    "    syscall",
    "    xor edi, edi",
    "    mov eax, {EXIT}",
    "    syscall",
    ".size __host_unmapself, . - __host_unmapself",
    ".globl __sys_restore_rt",
    ".type __sys_restore_rt, @function",
    "__sys_restore_rt:",
    "    mov eax, 15",
    "    syscall",
    ".size __sys_restore_rt, . - __sys_restore_rt",
    CLONE = const nr::CLONE,
    SET_GS = const 0x1001,
    ARCH_PRCTL = const nr::ARCH_PRCTL,
    MUNMAP = const nr::MUNMAP,
    EXIT = const nr::EXIT,
);
