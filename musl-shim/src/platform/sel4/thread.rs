// SPDX-License-Identifier: BSD-2-Clause
//! Beginning and end of threads, and what else musl's assembly jumps to.
//!
//! A thread is a TCB that the root server makes. It finds on its stack what to do, as its creator left it. At its end it leaves
//! that stack for a small one of its own, since whoever joins it (or it itself, if it is detached) unmaps the former.

use core::arch::naked_asm;

use vfs_hooks::process::{LAST_STACK, thread_memory};
use vfs_hooks::wire::root;

use super::kernel;
use super::server::{self, ask_root, tell_root};
use super::threads::current;
use crate::errno::Errno;
use crate::futex::Word;
use crate::shared::{self, locked};
use crate::{deliver, dispatch, futex, limits, memory, poller, signal, threads, user};

/// Number of vfork(2).
const VFORK: usize = 58;
/// Number of exit(2): of the calling thread.
const EXIT: usize = 60;

// clone(2)
const CLONE_VM: u32 = 0x100;
const CLONE_FS: u32 = 0x200;
const CLONE_FILES: u32 = 0x400;
const CLONE_SIGHAND: u32 = 0x800;
const CLONE_THREAD: u32 = 0x1_0000;
const CLONE_SYSVSEM: u32 = 0x4_0000;
const CLONE_SETTLS: u32 = 0x8_0000;
const CLONE_PARENT_SETTID: u32 = 0x10_0000;
const CLONE_CHILD_CLEARTID: u32 = 0x20_0000;
const CLONE_DETACHED: u32 = 0x40_0000;
/// What pthread_create asks for; nothing else is made here.
const PTHREAD: u32 = CLONE_VM
    | CLONE_FS
    | CLONE_FILES
    | CLONE_SIGHAND
    | CLONE_THREAD
    | CLONE_SYSVSEM
    | CLONE_SETTLS
    | CLONE_PARENT_SETTID
    | CLONE_CHILD_CLEARTID;

unsafe extern "C" {
    /// musl's: where `errno` lies.
    safe fn __errno_location() -> *mut i32;
}

/// What a new thread finds on its stack.
#[repr(C, align(16))]
struct Beginning {
    function: extern "C" fn(usize) -> i32,
    argument: usize,
    /// Rounding and exception masks, which are inherited.
    mxcsr: u32,
    control: u16,
}

/// Bytes below the record that the C ABI wants the stack pointer to be a multiple of.
const ALIGNMENT: usize = 16;

/// musl's `__clone`: the new thread's id, or a negated errno.
#[unsafe(no_mangle)]
extern "C" fn __sys_clone(
    function: extern "C" fn(usize) -> i32,
    stack: usize,
    flags: u32,
    argument: usize,
    parent_id: *mut u32,
    tls: usize,
    clear_id: *mut u32,
) -> i32 {
    if flags & !CLONE_DETACHED != PTHREAD {
        // A process by clone: posix_spawn and fork are there for that.
        return -Errno::ENOSYS.raw();
    }
    let at = (stack & !(ALIGNMENT - 1)) - size_of::<Beginning>();
    let (mut mxcsr, mut control) = (0u32, 0u16);
    // SAFETY: stores two control registers in two variables.
    unsafe {
        core::arch::asm!(
            "stmxcsr [{}]", "fnstcw [{}]", in(reg) &raw mut mxcsr, in(reg) &raw mut control,
            options(nostack, preserves_flags)
        );
    }
    // SAFETY: musl gives a stack for the new thread that nobody uses yet, with room for far more than this.
    unsafe {
        (at as *mut Beginning).write(Beginning {
            function,
            argument,
            mxcsr,
            control,
        });
    }
    deliver::enter();
    // The new thread takes the lock first of all, so it finds itself in all tables.
    let started = locked(|| {
        limits::another_task()?;
        let entry = begin as *const () as u64;
        let [number, ..] = ask_root(root::THREAD_START, [entry, at as u64, tls as u64])?;
        let number = number as usize;
        threads::begin(number, clear_id as usize, tls);
        signal::begin(number);
        let id = threads::id(number) as u32;
        // SAFETY: musl passes the field of the new thread's descriptor, which lives as long as the thread.
        unsafe { parent_id.write(id) };
        Ok::<_, Errno>(id)
    });
    deliver::leave();
    match started {
        Ok(id) => id as i32,
        // pthread_create(3) knows of no other.
        Err(_) => -Errno::EAGAIN.raw(),
    }
}

/// A thread's first instructions: its stack pointer is at its [`Beginning`].
#[unsafe(naked)]
extern "C" fn begin() -> ! {
    naked_asm!(
        "xor ebp, ebp",
        "mov rdi, rsp",
        "and rsp, -16",
        "call {run}",
        "ud2",
        run = sym run,
    )
}

extern "C" fn run(beginning: &Beginning) -> ! {
    let Beginning {
        function,
        argument,
        mxcsr,
        control,
    } = *beginning;
    // SAFETY: loads what `__sys_clone` stored: values that the creator ran with.
    unsafe {
        core::arch::asm!(
            "ldmxcsr [{}]", "fldcw [{}]", in(reg) &raw const mxcsr, in(reg) &raw const control,
            options(nostack, preserves_flags)
        );
    }
    // Until the creator is done with the tables.
    locked(|| ());
    deliver::leave();
    let status = function(argument);
    dispatch::dispatch(EXIT, &[status as usize, 0, 0, 0, 0, 0]);
    unreachable!("exit does not return")
}

/// exit(2) of the calling thread, which holds the core lock. The process ends with its last thread.
pub fn end(status: u8) -> ! {
    leave(status, 0, 0)
}

/// The same; unmaps `len` bytes at `base`, the thread's stack, on the way.
fn leave(status: u8, base: usize, len: usize) -> ! {
    let thread = current();
    let Some(clear) = threads::end() else {
        server::exit(status)
    };
    poller::thread_ended(thread);
    kernel::thread_ended();
    if thread == 0 {
        // Nobody unmaps the first stack.
        finish(clear, base, len)
    }
    // SAFETY: the root server mapped the last stack with the thread, whose alone it is; nothing on the old one is needed any more.
    unsafe {
        core::arch::asm!(
            "mov rsp, {stack}",
            "xor ebp, ebp",
            "call {finish}",
            "ud2",
            stack = in(reg) thread_memory(thread) + LAST_STACK,
            finish = sym finish,
            in("rdi") clear,
            in("rsi") base,
            in("rdx") len,
            options(noreturn),
        )
    }
}

/// The last steps, with the core lock held: after them the thread's stack may be gone.
extern "C" fn finish(clear: usize, base: usize, len: usize) -> ! {
    if len != 0 {
        // What musl has mapped as a whole can be unmapped as one.
        let _ = memory::with(|memory| memory.unmap(base, len));
    }
    if clear != 0 && user::write(clear, 0u32).is_ok() {
        // Whoever joins this thread waits there.
        let _ = Word::at(clear, false).and_then(|word| futex::wake(word, 1, futex::ANY));
    }
    shared::release();
    let thread = current() as u64;
    loop {
        tell_root(root::THREAD_END, thread);
    }
}

/// The end of a detached thread, which frees its own stack.
#[unsafe(no_mangle)]
extern "C" fn __sys_unmapself(base: usize, len: usize) -> ! {
    deliver::enter();
    shared::take();
    leave(0, base, len)
}

/// musl's `vfork`: as fork, so the child may do what it likes. -1 and errno if there is no child.
#[unsafe(no_mangle)]
extern "C" fn __sys_vfork() -> i32 {
    match dispatch::dispatch(VFORK, &[0; 6]) {
        pid @ 0.. => pid as i32,
        errno => {
            // SAFETY: musl returns a pointer to the thread's errno, which is valid while the thread lives.
            unsafe { *__errno_location() = -errno as i32 };
            -1
        }
    }
}

/// Where a handler would return to if the kernel had called it. Handlers are called as functions, so this is never reached.
#[unsafe(no_mangle)]
extern "C" fn __sys_restore_rt() -> ! {
    unreachable!("signal handlers return to their caller")
}
