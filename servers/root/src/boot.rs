// SPDX-License-Identifier: BSD-2-Clause
//! From the kernel's hand-over to the first request.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use root_server::archive::Archive;
use root_server::config::Config;
use root_server::elf::Elf;
use sel4_bindings::kernel::probe_kernel;
use sel4_bindings::*;
use vfs_hooks::process::{self, LARGE_PAGE, PAGE, badge, slot};
use vfs_hooks::spawn::Block;

use crate::image::Image;
use crate::memory::Memory;
use crate::meter;
use crate::network;
use crate::objects::{Objects, Result};
use crate::pci::Function;
use crate::process::{self as processes, PRIORITY, Process};
use crate::programs::{ABI, Programs, Refused};
use crate::space::PROGRAM;
use crate::system::System;
use crate::{log, serial};

const NET_SERVER: &str = "/sbin/net-server";
const VFS_SERVER: &str = "/sbin/vfs-server";
/// Exit status: the program cannot be run, is not there, the system itself is broken.
const CANNOT_RUN: u8 = 126;
const NOT_FOUND: u8 = 127;
const BROKEN: u8 = 125;

/// Least heap, in large pages.
const LEAST_HEAP: usize = 2;

/// Heap for the first moments; the real one follows.
#[repr(C, align(4096))]
struct FirstHeap([u8; 256 << 10]);
static mut FIRST_HEAP: FirstHeap = FirstHeap([0; 256 << 10]);

unsafe extern "C" {
    // Set by the linker: start and end of this program's memory.
    static __executable_start: u8;
    static _end: u8;
}

/// Ends the machine with a sentence on the log.
fn give_up(status: u8, why: fmt::Arguments) -> ! {
    log!("{why}");
    serial::exit(status)
}

/// What only a broken kernel or image can make fail.
fn must<T>(result: Result<T>, what: &str) -> T {
    match result {
        Ok(value) => value,
        Err(Error::NotEnoughMemory) => {
            give_up(CANNOT_RUN, format_args!("{what}: not enough memory"))
        }
        Err(error) => give_up(BROKEN, format_args!("{what}: the kernel says {error:?}")),
    }
}

/// Starts everything, then serves.
pub fn run(info: BootInfo) -> ! {
    learn_kernel(&info);
    let early = serial::CONSOLE.init();
    serial::CONTROL.init();
    // SAFETY: the array is used for nothing else.
    let usable = unsafe { guest_rt::heap::init(&raw mut FIRST_HEAP as usize, 256 << 10) };
    assert!(usable, "the first heap is too small");
    let archive = archive(&info);
    let config = match archive.file("boot.cfg").map(Config::parse) {
        Some(Ok(config)) => config,
        Some(Err(wrong)) => give_up(BROKEN, format_args!("boot.cfg is wrong at `{wrong}`")),
        None => give_up(BROKEN, format_args!("the boot archive has no boot.cfg")),
    };
    if config.queue_kernel != (kernel() == Some(Kernel::Queue)) {
        give_up(
            BROKEN,
            format_args!(
                "boot.cfg is for the other kernel: it says {}",
                name(config.queue_kernel)
            ),
        );
    }
    must(
        tcb_set_priority(CPtr::INIT_TCB, PRIORITY),
        "setting the root server's priority",
    );
    let objects = must(Objects::new(&info), "setting up the root server");
    let mut memory = Memory::new(objects);
    grow_heap(&mut memory);
    let total = memory.objects.total();
    let moved = move_archive(&mut memory, &info, archive.bytes());
    let (archive, frames) = must(moved, "copying the boot archive");
    let programs = Programs::new(archive, frames, config.net, config.trace.clone());
    let mut system = must(
        System::new(memory, programs, config.stats),
        "starting clock and serial lines",
    );
    if config.terminal {
        system.console.man();
    }
    system.console.take(early);
    if config.ask_time && !system.ask_time() {
        log!("nobody says what the time is: whole seconds of the clock chip");
    }
    if config.meter {
        must(meter::start(&mut system.memory), "starting the meter");
    }
    if config.below {
        processes::run_below();
    }
    log!(
        "root server: {} kernel, {} MiB, {} MHz",
        if config.queue_kernel {
            "queue"
        } else {
            "stock"
        },
        total >> 20,
        (system.clock.tsc_khz() + 500) / 1000
    );
    start_vfs_server(&mut system);
    if config.net.is_some() {
        start_net_server(&mut system);
    }
    start_init(&mut system, &config);
    system.serve()
}

fn name(queue_kernel: bool) -> &'static str {
    match queue_kernel {
        true => "queue",
        false => "stock",
    }
}

/// Everything after this may use invocations whose numbers depend on the kernel.
fn learn_kernel(info: &BootInfo) {
    let untyped = info.untyped().next().map_or(CPtr::NULL, |u| CPtr(u.slot));
    // Without an answer there is not even a serial line to complain on.
    if let Ok(kernel) = probe_kernel(untyped) {
        set_kernel(kernel);
    }
}

/// The archive that the driver appended to this program.
fn archive(info: &BootInfo) -> Archive<'static> {
    let start = (&raw const __executable_start as usize) & !(PAGE - 1);
    let archive = (&raw const _end as usize).next_multiple_of(PAGE);
    let end = start + info.image_frames().len() * PAGE;
    let len = end.saturating_sub(archive);
    // SAFETY: the kernel mapped the image's frames one after the other from `start` on, and nothing else uses those behind
    // `_end`.
    let memory = unsafe { core::slice::from_raw_parts(archive as *const u8, len) };
    match Archive::new(memory) {
        Ok(archive) => archive,
        Err(_) => give_up(
            BROKEN,
            format_args!("no boot archive behind the root server at {archive:#x} ({len} bytes)"),
        ),
    }
}

/// Copies the archive to large frames, which programs see as well, and gives back the frames that it came in.
fn move_archive(
    memory: &mut Memory,
    info: &BootInfo,
    bytes: &[u8],
) -> Result<(Archive<'static>, Vec<CPtr>)> {
    let mut frames = Vec::new();
    let mut start = None;
    for part in bytes.chunks(LARGE_PAGE) {
        let frame = memory.large_frame()?;
        memory.with_large(frame, |to| to[..part.len()].copy_from_slice(part))?;
        let view = memory.view_large(frame, CapRights::READ)?;
        start.get_or_insert(view.address);
        frames.push(frame);
    }
    // SAFETY: the views were made one after the other, nothing before them, and are never ended; the frames hold `bytes` and are
    // never written again.
    let bytes =
        unsafe { core::slice::from_raw_parts(start.unwrap_or_default() as *const u8, bytes.len()) };
    let image = (&raw const __executable_start as usize) & !(PAGE - 1);
    let end = (&raw const _end as usize).next_multiple_of(PAGE);
    for frame in info.image_frames().skip((end - image) / PAGE) {
        x86_page_unmap(CPtr(frame))?;
        memory.free(CPtr(frame));
    }
    let archive = Archive::new(bytes).map_err(|_| Error::InvalidArgument)?;
    Ok((archive, frames))
}

/// A heap that grows with memory, since what it holds does: a 32nd part.
fn grow_heap(memory: &mut Memory) {
    let count = (memory.objects.total() as usize / 32).div_ceil(LARGE_PAGE);
    let count = memory.add_large(process::HEAP, count.max(LEAST_HEAP));
    if count > 0 {
        // SAFETY: just mapped, and nothing else of the root server lies there.
        let _ = unsafe { guest_rt::heap::init(process::HEAP, count * LARGE_PAGE) };
        memory.reserve_lists();
    }
}

/// A server's program.
fn server(system: &System, path: &str) -> Elf<'static> {
    let Ok(bytes) = system.programs.file(path.as_bytes()) else {
        give_up(BROKEN, format_args!("the boot archive has no {path}"));
    };
    Elf::parse(bytes, PROGRAM).unwrap_or_else(|why| give_up(BROKEN, format_args!("{path}: {why}")))
}

fn start_vfs_server(system: &mut System) {
    let elf = server(system, VFS_SERVER);
    let start = || {
        let memory = &mut system.memory;
        let total = memory.objects.total();
        let heap = (total as usize / 64).clamp(2 << 20, 16 << 20) & !(LARGE_PAGE - 1);
        let number = badge::VFS_SERVER;
        let image = Rc::new(Image::new(elf));
        let mut process = Process::new(memory, number, VFS_SERVER, image, system.endpoint)?;
        system.programs.inform(&mut process, &system.clock, total);
        system.programs.show_archive(memory, &mut process)?;
        let endpoint = memory.objects.object(ObjectType::Endpoint)?;
        let receive = CapRights::READ;
        process.give(memory, slot::VFS, endpoint, receive, CapData::NONE)?;
        system.vfs_endpoint = endpoint;
        system.vfs_signal = Some(System::vfs_signal(memory, &process)?);
        let used = process.load_server(memory, heap)?;
        process.start(used)?;
        system.processes.insert(number, process);
        Ok(())
    };
    must(start(), "starting the VFS server");
}

fn start_net_server(system: &mut System) {
    let elf = server(system, NET_SERVER);
    let Some(card) = Function::network_card() else {
        give_up(
            BROKEN,
            format_args!("boot.cfg asks for a network, but there is no virtio network card"),
        );
    };
    let start = || {
        let memory = &mut system.memory;
        let heap = memory.objects.total() as usize / 8;
        let heap = heap.clamp(4 << 20, 64 << 20) & !(LARGE_PAGE - 1);
        let number = badge::NET_SERVER;
        let image = Rc::new(Image::new(elf));
        let mut process = Process::new(memory, number, NET_SERVER, image, system.endpoint)?;
        system
            .programs
            .inform(&mut process, &system.clock, memory.objects.total());
        network::give_card(memory, &mut process, card)?;
        let endpoint = memory.objects.object(ObjectType::Endpoint)?;
        let receive = CapRights::READ;
        process.give(memory, slot::NET, endpoint, receive, CapData::NONE)?;
        system.net_endpoint = endpoint;
        let used = process.load_server(memory, heap)?;
        process.start(used)?;
        system.processes.insert(number, process);
        Ok(())
    };
    must(start(), "starting the net server");
}

/// Starts the program that boot.cfg names: init, for the others that it may start.
fn start_init(system: &mut System, config: &Config) {
    let defaults = ["PATH=/bin:/usr/bin:/sbin:/usr/sbin", "HOME=/"];
    let named = |v: &str| String::from(v.split('=').next().unwrap_or(v));
    let given: Vec<String> = config.env.iter().map(|v| named(v)).collect();
    // What boot.cfg sets replaces the default of the same name.
    let env = defaults
        .iter()
        .filter(|v| !given.contains(&named(v)))
        .map(|v| v.as_bytes())
        .chain(config.env.iter().map(|v| v.as_bytes()))
        .collect();
    let path = &config.program;
    let block = Block {
        path: path.as_bytes(),
        args: config.args.iter().map(|a| a.as_bytes()).collect(),
        env,
        ..Block::default()
    };
    let why = match system.start_init(&block) {
        Ok(()) => return,
        Err(why) => why,
    };
    let free = system.memory.available();
    match why {
        Refused::NotFound => give_up(
            NOT_FOUND,
            format_args!("{path}: no such file in the boot archive"),
        ),
        // The first program is one of the boot archive.
        Refused::NotExecutable | Refused::NotHeld => give_up(
            CANNOT_RUN,
            format_args!("cannot run {path}: it is not an executable file"),
        ),
        Refused::Elf(why) => give_up(CANNOT_RUN, format_args!("cannot run {path}: {why}")),
        Refused::Abi(Some(other)) => give_up(
            CANNOT_RUN,
            format_args!("cannot run {path}: it was built for ABI {other}, this is {ABI}"),
        ),
        Refused::Abi(None) => give_up(
            CANNOT_RUN,
            format_args!("cannot run {path}: it was not linked by posix-poll-cc"),
        ),
        Refused::TooLong => give_up(
            CANNOT_RUN,
            format_args!("arguments and environment are longer than 2 MiB"),
        ),
        Refused::Memory(missing) => give_up(
            CANNOT_RUN,
            format_args!(
                "cannot run {path}: it needs {} MiB, {} MiB are free: give the machine more memory",
                (missing + free).div_ceil(1 << 20),
                free >> 20
            ),
        ),
        Refused::Kernel(error) => must(Err(error), "starting the program"),
    }
}
