// SPDX-License-Identifier: BSD-2-Clause
//! Being written.
#![no_std]
#![no_main]

guest_rt::root_task!(main);

fn main(_info: sel4_bindings::BootInfo) -> ! {
    queue_tests::machine::exit(0)
}
