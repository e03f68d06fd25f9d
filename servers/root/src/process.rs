// SPDX-License-Identifier: BSD-2-Clause
//! A process: its thread, CSpace, fixed pages, and what the root server remembers of it.

use alloc::collections::BTreeSet;
use alloc::rc::Rc;
use alloc::string::String;
use core::ops::Range;
use core::sync::atomic::AtomicBool;

use root_server::elf::Elf;
use sel4_bindings::*;
use vfs_hooks::channel::CNODES;
use vfs_hooks::lock::MAX_THREADS;
use vfs_hooks::process::{self, LARGE_PAGE, PAGE, ProcessInfo, ProcessStats, badge, slot};
use vfs_hooks::sync::Ordering;

use crate::image::Image;
use crate::memory::Memory;
use crate::objects::Result;
use crate::queues::{Queues, WatchCNodes};
use crate::signals::Signals;
use crate::space::Space;
use crate::spawn_meter;
use crate::table::{Place, Table};
use crate::threads::{self, Notification, Thread, Threads};

/// Priority of every process and of the root server: one, so that calls take the kernel's fast path.
pub const PRIORITY: u8 = 100;

/// Processes other than the first program and the servers run below [`PRIORITY`]: for tests, whose first program interrupts the others between any two
/// instructions. It must share no lock with them.
static BELOW: AtomicBool = AtomicBool::new(false);

/// From now on processes that programs start run below the first.
pub fn run_below() {
    BELOW.store(true, Ordering::Relaxed);
}

/// Counters in [`ProcessStats`].
const STATS: usize = size_of::<ProcessStats>() / 8;
/// Stack of a server that has something in it: nothing, but whole pages that are there from the start.
const SERVER_STACK: usize = 64 << 10;
/// Of so many pages that a process touches first the next one of its program learns.
const WARM_PAGES: usize = 64;
/// Memory of a program's shim from the start; it asks for more.
pub const PROGRAM_HEAP: usize = 256 << 10;

/// A process.
pub struct Process {
    /// Its number.
    pub number: usize,
    /// Path of its program.
    pub path: String,
    /// Its program.
    pub image: Rc<Image>,
    /// Its memory.
    pub space: Space,
    /// First-level CNode.
    top: CPtr,
    /// CNode of its own capabilities.
    own: CPtr,
    /// Its notification, unbadged.
    pub notification: Notification,
    /// Its information page, as the root server sees it.
    info: usize,
    /// Its counters.
    stats: CPtr,
    /// Its notification queues.
    pub queues: Queues,
    /// Its watch slots.
    pub watches: usize,
    /// CNode of its notification queues, once there are any.
    pub queue_table: Table,
    /// CNodes of its watches (queue kernel).
    pub watch_cnodes: WatchCNodes,
    /// CNodes of the channels that it holds, once one of a group has watches.
    pub channel_tables: [Table; CNODES],
    /// Channels that it holds.
    pub channels: BTreeSet<usize>,
    /// Shared files that it holds.
    pub files: BTreeSet<u32>,
    /// Page faults, as far as they are counted.
    faults: usize,
    /// Its number at the net server, once it has one.
    pub client: Option<usize>,
    /// Its threads, by number; the first is always there.
    pub threads: Threads,
    /// Signals that others sent.
    pub signals: Signals,
    /// When it began, CLOCK_MONOTONIC nanoseconds; 0: it has not.
    pub started: u64,
    /// Pages that came when they were touched.
    pub page_faults: u64,
    /// Where its arguments and its environment lie.
    pub strings: [Range<usize>; 2],
    /// When one of its threads is to look, CLOCK_MONOTONIC nanoseconds.
    pub alarm: Option<u64>,
}

/// Capabilities and pages of a process that is being made.
struct Parts {
    top: CPtr,
    own: CPtr,
    notification: Notification,
    first: Thread,
    stats: CPtr,
    buffer: CPtr,
}

impl Parts {
    /// Also the address of the information page, as the root server sees it.
    fn new(memory: &mut Memory, space: &mut Space, number: usize) -> Result<(Parts, usize)> {
        let (objects, arena) = (&mut memory.objects, &mut space.arena);
        let top = objects.cnode_in(arena, process::CSPACE_TOP_BITS)?;
        let own = objects.cnode_in(arena, slot::OWN_BITS)?;
        let notification = Notification::new(objects, arena)?;
        // Watches of an unmodified kernel signal the process; any thread may wait for them, so it is not the first one's own.
        let apart = number < badge::NET_SERVER && kernel() != Some(Kernel::Queue);
        let firsts = match apart {
            true => Notification::new(objects, arena)?,
            false => notification,
        };
        let (buffer, state) = threads::message_page(memory, 0)?;
        space.adopt(memory, buffer, process::IPC_BUFFER, 3)?;
        let first = Thread::new(&mut memory.objects, &mut space.arena, firsts, state)?;
        let mut page = |memory: &mut Memory, address: usize, prot: u64| {
            let frame = memory.frame()?;
            space.adopt(memory, frame, address, prot)?;
            Ok::<CPtr, Error>(frame)
        };
        let info = page(memory, process::INFO, 1)?;
        let stats = page(memory, process::STATS, 3)?;
        let view = memory.lens(info)?;
        let parts = Parts {
            top,
            own,
            notification,
            first,
            stats,
            buffer,
        };
        Ok((parts, view))
    }
}

impl Process {
    /// Makes a process out of a checked program, without code, heap or stack; it does not run yet.
    pub fn new(
        memory: &mut Memory,
        number: usize,
        path: &str,
        image: Rc<Image>,
        endpoint: CPtr,
    ) -> Result<Process> {
        let mut space = Space::new(memory)?;
        let (parts, info) = match Parts::new(memory, &mut space, number) {
            Ok(made) => made,
            Err(error) => {
                space.end(memory)?;
                return Err(error);
            }
        };
        let process = Process {
            number,
            path: path.into(),
            image,
            space,
            top: parts.top,
            own: parts.own,
            notification: parts.notification,
            info,
            stats: parts.stats,
            queues: Queues::default(),
            watches: 0,
            queue_table: Table::default(),
            watch_cnodes: WatchCNodes::default(),
            channel_tables: [Table::default(); CNODES],
            channels: BTreeSet::new(),
            files: BTreeSet::new(),
            faults: 0,
            client: None,
            threads: Threads::new(parts.first),
            signals: Signals::default(),
            started: 0,
            page_faults: 0,
            strings: [0..0, 0..0],
            alarm: None,
        };
        match process.furnish(memory, endpoint, parts.buffer) {
            Ok(()) => Ok(process),
            Err(error) => {
                process.end(memory)?;
                Err(error)
            }
        }
    }

    /// Capabilities of its own, and its thread's settings.
    fn furnish(&self, memory: &Memory, endpoint: CPtr, buffer: CPtr) -> Result<()> {
        self.mount(memory, process::OWN, self.own, slot::OWN_BITS)?;
        let named = |number: usize| {
            let badge = EndpointBadge::new(number as u64).ok_or(Error::RangeError)?;
            Ok(CapData::endpoint(badge))
        };
        // Calls need the grant right: the kernel makes a reply capability.
        let call = CapRights::new(true, false, true);
        self.give(memory, slot::ROOT, endpoint, call, named(self.number)?)?;
        let both = CapRights::READ_WRITE;
        let notification = self.notification.whole;
        self.give(
            memory,
            slot::NOTIFICATION,
            notification,
            both,
            CapData::NONE,
        )?;
        self.furnish_thread(memory, endpoint, 0, &self.threads.first, buffer)
    }

    /// What a thread has of its own, and its settings.
    pub fn furnish_thread(
        &self,
        memory: &Memory,
        endpoint: CPtr,
        number: usize,
        thread: &Thread,
        buffer: CPtr,
    ) -> Result<()> {
        let badge = self.number | badge::FAULT | number << badge::THREAD_SHIFT;
        let badge = EndpointBadge::new(badge as u64).ok_or(Error::RangeError)?;
        // Faults need the grant right: the kernel makes a reply capability.
        let call = CapRights::new(true, false, true);
        let (badge, own) = (CapData::endpoint(badge), thread.notification.whole);
        let both = CapRights::READ_WRITE;
        let fault = match (number, self.threads.cnode) {
            (0, _) => {
                self.give(memory, slot::FAULT, endpoint, call, badge)?;
                self.give(memory, slot::FIRST, own, both, CapData::NONE)?;
                process::cptr(process::OWN, slot::FAULT)
            }
            (_, Some(cnode)) => {
                let (objects, bits) = (&memory.objects, process::THREAD_BITS);
                let fault = MAX_THREADS + number;
                objects.mint_into(cnode, fault, bits, endpoint, call, badge)?;
                objects.mint_into(cnode, number, bits, own, both, CapData::NONE)?;
                process::cptr(process::THREAD_CAPS, fault)
            }
            (_, None) => return Err(Error::InvalidArgument),
        };
        let guard = 64 - process::CSPACE_TOP_BITS - process::CSPACE_LOW_BITS;
        let other = self.number != badge::INIT && self.number < badge::NET_SERVER;
        let below = other && BELOW.load(Ordering::Relaxed);
        tcb_configure(
            thread.tcb,
            fault as u64,
            PrioProps {
                priority: PRIORITY - u8::from(below),
                max_controlled: 0,
            },
            self.top,
            CapData::guard(0, guard).ok_or(Error::RangeError)?,
            self.space.vspace,
            CapData::NONE,
            process::ipc_buffer(number) as u64,
            buffer,
        )?;
        tcb_bind_notification(thread.tcb, own)
    }

    /// Has its threads look at what only the root server changes.
    pub fn kick(&self) {
        self.notification.kick();
        let first = &self.threads.first.notification;
        if first.whole != self.notification.whole {
            first.kick();
        }
    }

    /// Ends it, in whatever state, and gives everything back but its connection to the net server.
    pub fn end(mut self, memory: &mut Memory) -> Result<()> {
        self.queues.destroy_all(memory)?;
        self.space.end(memory)?;
        Image::release(self.image, memory)
    }

    /// Its first-level CNode.
    pub fn top(&self) -> CPtr {
        self.top
    }

    /// Puts a CNode of 2^`bits` slots into the process's first-level CNode.
    pub fn mount(&self, memory: &Memory, index: usize, cnode: CPtr, bits: u32) -> Result<()> {
        let guard = CapData::guard(0, process::CSPACE_LOW_BITS - bits).ok_or(Error::RangeError)?;
        let top_bits = process::CSPACE_TOP_BITS;
        memory
            .objects
            .mint_into(self.top, index, top_bits, cnode, CapRights::ALL, guard)
    }

    /// Where a table lies whose slots take `width` bits, in the first-level CNode.
    pub fn place(&self, slot: usize, width: u32) -> Place {
        Place {
            cnode: self.top,
            bits: process::CSPACE_TOP_BITS,
            slot,
            width,
        }
    }

    /// Gives the process a capability, in a slot of its own ones.
    pub fn give(
        &self,
        memory: &Memory,
        slot: usize,
        source: CPtr,
        rights: CapRights,
        data: CapData,
    ) -> Result<()> {
        memory
            .objects
            .mint_into(self.own, slot, slot::OWN_BITS, source, rights, data)
    }

    /// Changes the information page, before the process runs.
    pub fn write_info(&mut self, change: impl FnOnce(&mut ProcessInfo)) {
        // SAFETY: the view is mapped read-write while the process lives and only this function makes a mutable reference, before
        // the process runs; any bytes are a valid ProcessInfo.
        change(unsafe { &mut *(self.info as *mut ProcessInfo) })
    }

    /// The information page.
    pub fn info(&self) -> &ProcessInfo {
        // SAFETY: mapped while the process lives; what changes while it runs are its atomics.
        unsafe { &*(self.info as *const ProcessInfo) }
    }

    /// The counters.
    pub fn stats(&self, memory: &mut Memory) -> Result<[u64; STATS]> {
        memory.read(self.stats, |bytes| {
            core::array::from_fn(|i| {
                let mut word = [0; 8];
                word.copy_from_slice(&bytes[i * 8..][..8]);
                u64::from_le_bytes(word)
            })
        })
    }

    /// Lays out the program and puts `stack` on top of the stack. Other pages come when they are touched.
    pub fn load(&mut self, memory: &mut Memory, stack: &[u8]) -> Result<()> {
        for (page, frame) in self.image.large_pages(memory) {
            let read = CapRights::READ;
            self.space.borrow_large(memory, frame, page, read)?;
        }
        self.load_stack(memory, stack)?;
        let image_end = self.image.elf.end().next_multiple_of(PAGE) as u64;
        self.write_info(|info| {
            info.heap_len = PROGRAM_HEAP as u64;
            info.stack_len = process::STACK_SIZE as u64;
            info.image_end = image_end;
        });
        Ok(())
    }

    /// As [`Process::load`], for a server, which has a heap of large pages and no arguments, and all its memory from the start; returns how much
    /// of the stack is used.
    pub fn load_server(&mut self, memory: &mut Memory, heap: usize) -> Result<usize> {
        self.load(memory, &[0; SERVER_STACK])?;
        for page in self.image.elf.pages() {
            if !self.space.has_page(page) && !self.space.has_large_page(page) {
                self.add_image_page(memory, page)?;
            }
        }
        for address in (process::HEAP..process::HEAP + heap).step_by(LARGE_PAGE) {
            let frame = memory.large_frame()?;
            self.space.adopt_large(memory, frame, address)?;
        }
        self.write_info(|info| info.heap_len = heap as u64);
        Ok(16)
    }

    /// Maps a page of the program: the one that all its processes share, or a copy if it can be written.
    fn add_image_page(&mut self, memory: &mut Memory, page: usize) -> Result<()> {
        let image = self.image.clone();
        if image.elf.writable(page, PAGE) {
            let frame = memory.filled(|bytes| image.fill(page, bytes))?;
            return self.space.adopt(memory, frame, page, 7);
        }
        let frame = image.shared_page(memory, page)?;
        self.space.borrow(memory, frame, page, 5)
    }

    /// A page fault at an address of which the low 32 bits are known: `true` if a page is there now that was not. Stack, heap and program differ in
    /// these bits but for accidents, and whoever guesses wrong meets the fault again.
    pub fn page_in(&mut self, memory: &mut Memory, low: u32) -> bool {
        let at = |region: usize| region & !(u32::MAX as usize) | low as usize & !(PAGE - 1);
        // Programs are linked at one address, below 4 GiB; one that is not has its pages found all the same.
        let elf = &self.image.elf;
        let parts = elf.segments.iter().map(|s| at(s.memory.start));
        let page = parts
            .chain([at(process::STACK_TOP)])
            .find(|page| self.is_lazy(*page) && !self.space.has_page(*page));
        match page {
            Some(page) if memory.has_room(1) => {
                self.page_faults += 1;
                if self.faults < WARM_PAGES {
                    self.faults += 1;
                    self.image.touched(page);
                }
                self.add_page(memory, page).is_ok()
            }
            _ => false,
        }
    }

    /// Whether a page comes when it is touched.
    fn is_lazy(&self, page: usize) -> bool {
        zeroed(page) || self.image.elf.covers(page, PAGE)
    }

    fn add_page(&mut self, memory: &mut Memory, page: usize) -> Result<()> {
        match zeroed(page) {
            true => self.map_zeroed(memory, page..page + PAGE),
            false => self.add_image_page(memory, page),
        }
    }

    /// Adds the pages that processes of this program touch first: each costs a third of what its fault would.
    pub fn warm_up(&mut self, memory: &mut Memory) -> Result<()> {
        let image = self.image.clone();
        for page in image.warm() {
            if self.is_lazy(page) && !self.space.has_page(page) && !self.space.has_large_page(page)
            {
                self.add_page(memory, page)?;
            }
        }
        Ok(())
    }

    /// Maps the part of the stack that has contents.
    fn load_stack(&mut self, memory: &mut Memory, stack: &[u8]) -> Result<()> {
        let start = process::STACK_TOP - stack.len();
        let first = start & !(PAGE - 1);
        for page in (first..process::STACK_TOP).step_by(PAGE) {
            let frame = memory.filled(|bytes| {
                let (from, at) = match page >= start {
                    true => (page - start, 0),
                    false => (0, start - page),
                };
                let part = &stack[from..][..PAGE - at];
                bytes[..at].fill(0);
                bytes[at..].copy_from_slice(part);
            })?;
            self.space.adopt(memory, frame, page, 3)?;
        }
        Ok(())
    }

    fn map_zeroed(&mut self, memory: &mut Memory, range: Range<usize>) -> Result<()> {
        for page in range.step_by(PAGE) {
            let frame = memory.frame()?;
            self.space.adopt(memory, frame, page, 3)?;
        }
        Ok(())
    }

    /// Starts the thread, `used` bytes down its stack.
    pub fn start(&self, used: usize) -> Result<()> {
        let registers = UserContext {
            rip: self.image.elf.entry as u64,
            rsp: (process::STACK_TOP - used) as u64,
            rflags: 0x202,
            ..UserContext::default()
        };
        let tcb = self.threads.first.tcb;
        tcb_write_registers(tcb, true, 0, UserContext::COUNT, &registers)?;
        spawn_meter::started(&self.path);
        Ok(())
    }

    /// A child that is a copy, as fork(2) has it: memory, but not queues, watches and connections.
    pub fn copy(&self, memory: &mut Memory, number: usize, endpoint: CPtr) -> Result<Process> {
        let mut child = Process::new(memory, number, &self.path, self.image.clone(), endpoint)?;
        child.strings = self.strings.clone();
        child.set_name(&self.name());
        let copied = child.space.copy(memory, &self.space);
        if let Err(error) = copied {
            child.end(memory)?;
            return Err(error);
        }
        let from = self.info as *const u8;
        child.write_info(|info| {
            // SAFETY: both are views of a page, and a page's first bytes are a ProcessInfo whatever they are. The parent does not run.
            unsafe {
                (info as *mut ProcessInfo)
                    .cast::<u8>()
                    .copy_from_nonoverlapping(from, size_of::<ProcessInfo>());
            }
            info.process = number as u32;
            *info.ended.get_mut() = 0;
            *info.signals.get_mut() = 0;
            info.random[0] = info.random[0].rotate_left(17) ^ rdtsc();
            info.random[1] ^= (number as u64) << 32;
        });
        Ok(child)
    }

    /// Starts the copy of a thread that waits in a call, as if the answer were no error and zeroes.
    pub fn resume_as_child(&self, parent: CPtr) -> Result<()> {
        let mut registers = tcb_read_registers(parent, false, 0, UserContext::COUNT)?;
        // rip is that of the `syscall` instruction; what the kernel would have set on return are badge, info and words.
        registers.rip += 2;
        registers.rsi = MessageInfo::new(0, 0, 4).0;
        (registers.rdi, registers.r10, registers.r8) = (0, 0, 0);
        (registers.r9, registers.r15) = (0, 0);
        let tcb = self.threads.first.tcb;
        tcb_write_registers(tcb, true, 0, UserContext::COUNT, &registers)
    }
}

/// Whether a page is one of stack or heap, which are zero at first.
fn zeroed(page: usize) -> bool {
    let stack = process::STACK_TOP - process::STACK_SIZE..process::STACK_TOP;
    let heap = process::SHIM_HEAP..process::SHIM_HEAP + PROGRAM_HEAP;
    stack.contains(&page) || heap.contains(&page)
}

/// Bytes of memory that a program needs to get anywhere.
pub fn needs(elf: &Elf, stack: usize) -> u64 {
    let image: usize = elf.segments.iter().map(|s| s.memory.len() + PAGE).sum();
    // Page tables and the process's own objects come on top.
    (image + image / 512 + PROGRAM_HEAP + stack + (512 << 10)) as u64
}
