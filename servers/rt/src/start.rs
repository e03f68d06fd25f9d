// SPDX-License-Identifier: BSD-2-Clause
//! Entry points. Macros, because a program has one and this crate serves both kinds.

/// Makes `$main`, a `fn(BootInfo) -> !`, the entry of a root task, on a stack of `$stack` bytes (256 KiB by default).
#[macro_export]
macro_rules! root_task {
    ($main:path) => {
        $crate::root_task!($main, 256 << 10);
    };
    ($main:path, $stack:expr) => {
        #[repr(C, align(4096))]
        struct RootStack([u8; $stack]);
        // Only its address is used, by the assembly below.
        static mut ROOT_STACK: RootStack = RootStack([0; $stack]);

        core::arch::global_asm!(
            ".section .text._start, \"ax\"",
            ".globl _start",
            "_start:",
            "lea rsp, [rip + {stack} + {size}]",
            "xor ebp, ebp",
            "cld",
            "call {entry}",
            "ud2",
            stack = sym ROOT_STACK,
            size = const { $stack },
            entry = sym root_entry,
        );

        extern "C" fn root_entry(info: *const u8) -> ! {
            // SAFETY: `_start` passes on the register in which the kernel gives the boot information.
            let main: fn($crate::sel4_bindings::BootInfo) -> ! = $main;
            main(unsafe { $crate::sel4_bindings::BootInfo::new(info) })
        }
    };
}

/// Makes `$main`, a `fn() -> !`, the entry of a server process, on the stack that the root server gave it. The bindings know
/// the kernel when it is called.
#[macro_export]
macro_rules! server {
    ($main:path) => {
        core::arch::global_asm!(
            ".section .text._start, \"ax\"",
            ".globl _start",
            "_start:",
            "xor ebp, ebp",
            "cld",
            "and rsp, -16",
            "call {entry}",
            "ud2",
            entry = sym server_entry,
        );

        extern "C" fn server_entry() -> ! {
            $crate::learn_kernel();
            let main: fn() -> ! = $main;
            main()
        }
    };
}

/// Tells the bindings which kernel the root server says this is.
#[doc(hidden)]
pub fn learn_kernel() {
    let info = vfs_hooks::process::INFO as *const vfs_hooks::process::ProcessInfo;
    // SAFETY: the root server maps this page into every process before it starts.
    let queue_kernel = unsafe { (*info).queue_kernel } != 0;
    sel4_bindings::set_kernel(match queue_kernel {
        true => sel4_bindings::Kernel::Queue,
        false => sel4_bindings::Kernel::Stock,
    });
}
