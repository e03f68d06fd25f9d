// SPDX-License-Identifier: BSD-2-Clause
//! Root and process server: the first program on the kernel, and the only one that owns memory.
//!
//! It starts the net server and the first C program from the boot archive, and then serves their requests and those of the
//! programs that they start (`vfs_hooks::wire::root`): memory, time, console, notification queues, watches, processes. It never
//! calls anybody, so it can wait for nobody. Nothing that a process sends is trusted.
//!
//! | module | what it does |
//! |---|---|
//! | `objects` | own CSpace, kernel objects out of untyped memory, page tables |
//! | `arena` | objects that end with a process |
//! | `memory` | frames, zeroed; the root server's own views of them |
//! | `space` | a process's pages: MAP, UNMAP, PROTECT |
//! | `process` | a process: thread, CSpace, fixed pages |
//! | `shells` | what of a process is kept for the next one of its program |
//! | `programs`, `image` | processes out of files |
//! | `life` | how processes begin and end |
//! | `queues` | notification queues and watch slots |
//! | `table` | CNodes that grow |
//! | `facts` | what processes are told of each other |
//! | `channels` | memory that processes share, and its watches |
//! | `owners` | whose locks the VFS server is to free |
//! | `sockets` | names of AF_UNIX, and channels on their way from one process to another |
//! | `udp` | names of UDP sockets, and the net server's part in them |
//! | `threads` | threads of a process, their timers |
//! | `signals` | signals on their way to a process |
//! | `interrupt` | threads that compute, sent elsewhere |
//! | `network`, `pci` | the network card, channels between the net server and its clients |
//! | `clock`, `serial`, `console` | devices |
//! | `meter`, `spawn_meter` | count what is not idling; what starting a process costs |
//! | `boot` | starts the processes |
//! | `system`, `requests`, `faults` | serves them |
//!
//! What needs no kernel is in the library beside this, with tests.
#![no_std]
#![no_main]

extern crate alloc;

mod arena;
mod boot;
mod channels;
mod clock;
mod console;
mod contents;
mod facts;
mod faults;
mod fifos;
mod files;
mod futex;
mod image;
mod interrupt;
mod life;
mod memory;
mod meter;
mod network;
mod objects;
mod owners;
mod pci;
mod process;
mod programs;
mod queues;
mod requests;
mod serial;
mod shells;
mod signals;
mod sockets;
mod space;
mod spawn_meter;
mod system;
mod table;
mod tcp;
mod threads;
mod udp;

use core::panic::PanicInfo;

use sel4_bindings::BootInfo;

guest_rt::root_task!(main);

/// Exit status when the root server itself fails.
const PANICKED: u8 = 125;

fn main(info: BootInfo) -> ! {
    guest_rt::set_panic_hook(panicked);
    boot::run(info)
}

fn panicked(info: &PanicInfo) {
    log!("root server panicked: {info}");
    serial::exit(PANICKED);
}
