// SPDX-License-Identifier: BSD-2-Clause
//! From the kernel's hand-over to the first request.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use root_server::archive::Archive;
use root_server::config::{Config, Net};
use root_server::elf::Elf;
use root_server::stack::Start;
use sel4_bindings::kernel::probe_kernel;
use sel4_bindings::*;
use vfs_hooks::process::{self, INFO_MAGIC, LARGE_PAGE, PAGE, badge, slot};

use crate::memory::Memory;
use crate::meter;
use crate::network::{self, Client};
use crate::objects::{Objects, Result};
use crate::pci::Function;
use crate::process::{PRIORITY, Process, Sizes, needs};
use crate::space::PROGRAM;
use crate::system::System;
use crate::{log, serial};

const NET_SERVER: &str = "/sbin/net-server";
/// Version of the ABI between programs and this system.
const ABI: u32 = 1;
/// Exit status: the program cannot be run, is not there, the system itself is broken.
const CANNOT_RUN: u8 = 126;
const NOT_FOUND: u8 = 127;
const BROKEN: u8 = 125;

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
    let mut system = must(
        System::new(memory, config.stats),
        "starting clock and serial lines",
    );
    system.console.take(early);
    if config.meter {
        must(meter::start(&mut system.memory), "starting the meter");
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
    let mut boot = Boot {
        system,
        archive,
        config,
        info,
    };
    boot.start_all();
    let mut system = boot.system;
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

/// A heap that grows with memory, since what it holds does: a 32nd part.
fn grow_heap(memory: &mut Memory) {
    let count = (memory.objects.total() as usize / 32).div_ceil(LARGE_PAGE);
    let count = memory.add_large(process::HEAP, count);
    if count > 0 {
        // SAFETY: just mapped, and nothing else of the root server lies there.
        let _ = unsafe { guest_rt::heap::init(process::HEAP, count * LARGE_PAGE) };
    }
}

/// Sizes for a process, in whole large pages.
fn sizes(memory: &Memory, share: usize, least: usize, most: usize) -> Sizes {
    let heap = memory.objects.total() as usize / share;
    Sizes {
        heap: heap.clamp(least, most) & !(LARGE_PAGE - 1),
        stack: process::STACK_SIZE,
    }
}

struct Boot {
    system: System,
    archive: Archive<'static>,
    config: Config,
    info: BootInfo,
}

impl Boot {
    fn start_all(&mut self) {
        self.system.processes = Vec::from([const { None }; badge::FIRST_PROGRAM]);
        let net = self.config.net;
        if let Some(net) = net {
            let process = self.net_server(net);
            self.system.processes[badge::NET_SERVER] = Some(process);
        }
        let mut program = self.program(net);
        if net.is_some() {
            let client = self.connect(&program);
            self.system
                .clients
                .push(must(client, "connecting the program to the network"));
        }
        self.system.console.publish(&program);
        let stack = self.stack(&mut program);
        let sizes = sizes(&self.system.memory, 16, 4 << 20, 32 << 20);
        must(
            program.load(&mut self.system.memory, sizes, &stack),
            "loading the program",
        );
        must(program.start(stack.len()), "starting the program");
        self.system.processes.push(Some(program));
    }

    fn net_server(&mut self, net: Net) -> Process {
        let Some(bytes) = self.archive.file(NET_SERVER) else {
            give_up(BROKEN, format_args!("the boot archive has no {NET_SERVER}"));
        };
        let elf = Elf::parse(bytes, PROGRAM)
            .unwrap_or_else(|why| give_up(BROKEN, format_args!("{NET_SERVER}: {why}")));
        let Some(card) = Function::network_card() else {
            give_up(
                BROKEN,
                format_args!("boot.cfg asks for a network, but there is no virtio network card"),
            );
        };
        let mut process = must(
            self.process(badge::NET_SERVER, NET_SERVER, elf, Some(net)),
            "making the net server",
        );
        let memory = &mut self.system.memory;
        let mut start = || {
            network::give_card(memory, &mut process, card)?;
            let endpoint = memory.objects.object(ObjectType::Endpoint)?;
            let receive = CapRights::READ;
            process.give(memory, slot::NET, endpoint, receive, CapData::NONE)?;
            self.system.net_endpoint = endpoint;
            let sizes = sizes(memory, 8, 4 << 20, 64 << 20);
            process.load(memory, sizes, &[0; 16])?;
            process.start(16)
        };
        must(start(), "starting the net server");
        process
    }

    fn connect(&mut self, program: &Process) -> Result<Client> {
        let system = &mut self.system;
        match &system.processes[badge::NET_SERVER] {
            Some(net) => Client::connect(&mut system.memory, program, net, system.net_endpoint),
            None => Err(Error::FailedLookup),
        }
    }

    fn program(&mut self, net: Option<Net>) -> Process {
        let path = self.config.program.clone();
        let Some(bytes) = self.archive.file(&path) else {
            give_up(
                NOT_FOUND,
                format_args!("{path}: no such file in the boot archive"),
            );
        };
        let elf = Elf::parse(bytes, PROGRAM)
            .unwrap_or_else(|why| give_up(CANNOT_RUN, format_args!("cannot run {path}: {why}")));
        match elf.abi {
            Some(ABI) => {}
            Some(other) => give_up(
                CANNOT_RUN,
                format_args!("cannot run {path}: it was built for ABI {other}, this is {ABI}"),
            ),
            None => give_up(
                CANNOT_RUN,
                format_args!("cannot run {path}: it was not linked by posix-poll-cc"),
            ),
        }
        let sizes = sizes(&self.system.memory, 16, 4 << 20, 32 << 20);
        let (needed, free) = (needs(&elf, sizes), self.system.memory.available());
        if needed > free {
            give_up(
                CANNOT_RUN,
                format_args!(
                    "cannot run {path}: it needs {} MiB, {} MiB are free: give the machine more memory",
                    needed.div_ceil(1 << 20),
                    free >> 20
                ),
            );
        }
        must(
            self.process(badge::FIRST_PROGRAM, &path, elf, net)
                .and_then(|process| self.map_archive(&process).map(|()| process)),
            "making the program's process",
        )
    }

    /// A process with its information page filled in.
    fn process(
        &mut self,
        number: usize,
        path: &str,
        elf: Elf<'static>,
        net: Option<Net>,
    ) -> Result<Process> {
        let system = &mut self.system;
        let endpoint = system.endpoint;
        let mut process = Process::new(&mut system.memory, number, path, elf, endpoint)?;
        let clock = &system.clock;
        let total = system.memory.objects.total();
        let archive = self.archive.bytes().len() as u64;
        let net = net.unwrap_or_default();
        process.write_info(|info| {
            info.magic = INFO_MAGIC;
            info.queue_kernel = (kernel() == Some(Kernel::Queue)) as u32;
            info.process = number as u32;
            info.tsc_base = clock.tsc_base;
            info.tsc_scale = clock.tsc_scale;
            info.realtime_base = clock.realtime_base;
            info.archive_len = archive;
            info.random = random(clock.realtime_base, number as u64);
            info.address = net.address;
            info.prefix = net.prefix;
            info.gateway = net.gateway;
            info.nic = u32::MAX;
            info.memory = total;
        });
        Ok(process)
    }

    /// Maps the boot archive, read-only.
    fn map_archive(&mut self, process: &Process) -> Result<()> {
        let bytes = self.archive.bytes();
        let image = (&raw const __executable_start as usize) & !(PAGE - 1);
        let first = self.info.image_frames().start + (bytes.as_ptr() as usize - image) / PAGE;
        for page in 0..bytes.len().div_ceil(PAGE) {
            let memory = &mut self.system.memory;
            let frame = memory.objects.copy(CPtr(first + page))?;
            let address = process::ARCHIVE + page * PAGE;
            process
                .space
                .map_fixed(memory, frame, address, CapRights::READ)?;
        }
        Ok(())
    }

    /// The program's first stack contents.
    fn stack(&self, program: &mut Process) -> Vec<u8> {
        let defaults = ["PATH=/bin", "HOME=/"];
        let named = |v: &str| String::from(v.split('=').next().unwrap_or(v));
        let given: Vec<String> = self.config.env.iter().map(|v| named(v)).collect();
        // What boot.cfg sets replaces the default of the same name.
        let env: Vec<&[u8]> = defaults
            .iter()
            .filter(|v| !given.contains(&named(v)))
            .map(|v| v.as_bytes())
            .chain(self.config.env.iter().map(|v| v.as_bytes()))
            .collect();
        let args: Vec<&[u8]> = self.config.args.iter().map(|a| a.as_bytes()).collect();
        let mut random = [0; 16];
        random[..8].copy_from_slice(&program.info().random[2].to_le_bytes());
        random[8..].copy_from_slice(&program.info().random[3].to_le_bytes());
        let start = Start {
            args: &args,
            env: &env,
            path: program.path.as_bytes(),
            headers: program.elf.headers,
            header_count: program.elf.header_count,
            entry: program.elf.entry,
            random,
        };
        let stack = start.bytes(process::STACK_TOP);
        if stack.len() > LARGE_PAGE {
            give_up(
                CANNOT_RUN,
                format_args!("arguments and environment are longer than 2 MiB"),
            );
        }
        stack
    }
}

/// Numbers that differ from boot to boot. Not cryptographic: they come from the date and the time-stamp counter.
fn random(date: u64, number: u64) -> [u64; 4] {
    let mut state = date ^ rdtsc().rotate_left(32) ^ number << 56;
    // SplitMix64 (Steele, Lea, Flood 2014).
    [(); 4].map(|()| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}
