// SPDX-License-Identifier: BSD-2-Clause
//! Root task that tests the notification queue, in TAP on the serial line.
//!
//! It asks the kernel which one it is. QEMU's exit status is 1 if all passed, 3
//! if a test failed, 5 if the run broke off (twice the value of the debug exit
//! port, plus 1).
#![no_std]
#![no_main]

use queue_tests::tap::Tap;
use queue_tests::world::World;
use queue_tests::{OWN_PRIORITY, line, machine, tests};
use sel4_bindings::kernel::probe_kernel;
use sel4_bindings::{BootInfo, CPtr, set_kernel, tcb_set_priority};

guest_rt::root_task!(main);

fn main(info: BootInfo) -> ! {
    guest_rt::set_panic_hook(machine::bail_out);
    let mut tap = Tap::default();
    let memory = info.untyped().find(|u| !u.device).expect("no memory");
    let kernel = probe_kernel(CPtr(memory.slot)).expect("neither kernel");
    set_kernel(kernel);
    // The firmware's last line has no end.
    line!("\nTAP version 13");
    line!("# kernel: {kernel:?}");
    tcb_set_priority(CPtr::INIT_TCB, OWN_PRIORITY).expect("own priority");
    let mut world = World::new(info);
    tests::run(kernel, &mut world, &mut tap);
    machine::exit(tap.finish())
}
