// SPDX-License-Identifier: BSD-2-Clause
//! What happens when a guest program panics.

use core::panic::PanicInfo;
use core::sync::atomic::{AtomicPtr, Ordering};

static HOOK: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Sets what a panic calls before the thread stops. The hook reports; it may end the program itself.
pub fn set_panic_hook(hook: fn(&PanicInfo)) {
    HOOK.store(hook as *mut (), Ordering::Relaxed);
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    // Taken out first: a panic inside the hook goes straight to the stop.
    let hook = HOOK.swap(core::ptr::null_mut(), Ordering::Relaxed);
    if !hook.is_null() {
        // SAFETY: only `set_panic_hook` stores there, and only functions of this type.
        let hook: fn(&PanicInfo) = unsafe { core::mem::transmute(hook) };
        hook(info);
    }
    stop()
}

/// Stops the thread by a fault, which the root server reports; in the root task nobody handles it and the thread stays put.
fn stop() -> ! {
    loop {
        // SAFETY: raises an invalid-instruction exception and does nothing else.
        unsafe { core::arch::asm!("ud2", options(nomem, nostack)) }
    }
}

// The prebuilt core library names these. Nothing unwinds: panics abort.

#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    stop()
}
