// SPDX-License-Identifier: BSD-2-Clause
//! A process: its thread, CSpace, fixed pages, and what the root server remembers of it.

use alloc::collections::BTreeSet;
use alloc::rc::Rc;
use alloc::string::String;
use core::ops::Range;
use core::sync::atomic::AtomicBool;

use root_server::elf::Elf;
use sel4_bindings::*;
use vfs_hooks::lock::MAX_THREADS;
use vfs_hooks::process::{self, LARGE_PAGE, PAGE, ProcessInfo, ProcessStats, badge, slot};
use vfs_hooks::sync::Ordering;

use crate::image::Image;
use crate::memory::Memory;
use crate::objects::Result;
use crate::queues::{Queues, WatchCNodes};
use crate::shells::Kit;
use crate::signals::Signals;
use crate::space::Space;
use crate::spawn_meter;
use crate::table::Place;
use crate::threads::{Notification, Thread, Threads};

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
    /// Capabilities and pages that it has from its beginning.
    pub kit: Kit,
    /// It was made of what another one left.
    again: bool,
    /// Its notification, unbadged.
    pub notification: Notification,
    /// Its notification queues.
    pub queues: Queues,
    /// Its watch slots.
    pub watches: usize,
    /// CNodes of its watches (queue kernel).
    pub watch_cnodes: WatchCNodes,
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

impl Process {
    /// Makes a process out of a checked program, without code, heap or stack; it does not run yet.
    pub fn new(
        memory: &mut Memory,
        number: usize,
        path: &str,
        image: Rc<Image>,
        endpoint: CPtr,
    ) -> Result<Process> {
        let shell = memory.take_shell(&image);
        let again = shell.is_some();
        let (space, kit) = match shell {
            Some(shell) => shell.open(),
            None => {
                let mut space = Space::new(memory)?;
                match Kit::new(memory, &mut space, number) {
                    Ok(kit) => (space, kit),
                    Err(error) => {
                        space.end(memory)?;
                        return Err(error);
                    }
                }
            }
        };
        let first = match kit.thread(memory) {
            Ok(first) => first,
            Err(error) => {
                kit.end_with(memory, space)?;
                return Err(error);
            }
        };
        let process = Process {
            number,
            path: path.into(),
            image,
            space,
            again,
            notification: kit.notification,
            kit,
            queues: Queues::default(),
            watches: 0,
            watch_cnodes: WatchCNodes::default(),
            channels: BTreeSet::new(),
            files: BTreeSet::new(),
            faults: 0,
            client: None,
            threads: Threads::new(first),
            signals: Signals::default(),
            started: 0,
            page_faults: 0,
            strings: [0..0, 0..0],
            alarm: None,
        };
        let renewed = match again {
            true => process.renew_fixed(memory),
            false => Ok(()),
        };
        match renewed.and_then(|()| process.furnish(memory, endpoint, again)) {
            Ok(()) => Ok(process),
            Err(error) => {
                process.discard(memory)?;
                Err(error)
            }
        }
    }

    /// Gives everything back of one that never ran.
    pub fn discard(self, memory: &mut Memory) -> Result<()> {
        self.kit.end_with(memory, self.space)?;
        Image::release(self.image, memory)
    }

    /// Capabilities of its own, and its thread's settings. `again`: those to itself are there.
    fn furnish(&self, memory: &Memory, endpoint: CPtr, again: bool) -> Result<()> {
        let (both, none) = (CapRights::READ_WRITE, CapData::NONE);
        if !again {
            self.mount(memory, process::OWN, self.kit.own, slot::OWN_BITS)?;
            let [all, firsts] = [self.kit.notification, self.kit.firsts].map(|n| n.whole);
            self.give(memory, slot::NOTIFICATION, all, both, none)?;
            self.give(memory, slot::FIRST, firsts, both, none)?;
        }
        let badge = EndpointBadge::new(self.number as u64).ok_or(Error::RangeError)?;
        // Calls need the grant right: the kernel makes a reply capability.
        let call = CapRights::new(true, false, true);
        let badge = CapData::endpoint(badge);
        self.give(memory, slot::ROOT, endpoint, call, badge)?;
        let buffer = self.kit.buffer;
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
            self.kit.top,
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

    /// Its first-level CNode.
    pub fn top(&self) -> CPtr {
        self.kit.top
    }

    /// Puts a CNode of 2^`bits` slots into the process's first-level CNode.
    pub fn mount(&self, memory: &Memory, index: usize, cnode: CPtr, bits: u32) -> Result<()> {
        let guard = CapData::guard(0, process::CSPACE_LOW_BITS - bits).ok_or(Error::RangeError)?;
        let top_bits = process::CSPACE_TOP_BITS;
        memory
            .objects
            .mint_into(self.kit.top, index, top_bits, cnode, CapRights::ALL, guard)
    }

    /// Where a table lies whose slots take `width` bits, in the first-level CNode.
    pub fn place(&self, slot: usize, width: u32) -> Place {
        Place {
            cnode: self.kit.top,
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
            .mint_into(self.kit.own, slot, slot::OWN_BITS, source, rights, data)
    }

    /// Changes the information page, before the process runs.
    pub fn write_info(&mut self, change: impl FnOnce(&mut ProcessInfo)) {
        // SAFETY: the view is mapped read-write while the process lives and only this function makes a mutable reference, before
        // the process runs; any bytes are a valid ProcessInfo.
        change(unsafe { &mut *(self.kit.info as *mut ProcessInfo) })
    }

    /// The information page.
    pub fn info(&self) -> &ProcessInfo {
        // SAFETY: mapped while the process lives; what changes while it runs are its atomics.
        unsafe { &*(self.kit.info as *const ProcessInfo) }
    }

    /// The counters.
    pub fn stats(&self, memory: &mut Memory) -> Result<[u64; STATS]> {
        memory.read(self.kit.stats, |bytes| {
            core::array::from_fn(|i| {
                let mut word = [0; 8];
                word.copy_from_slice(&bytes[i * 8..][..8]);
                u64::from_le_bytes(word)
            })
        })
    }

    /// Lays out the program and puts `stack` on top of the stack. Other pages come when they are touched.
    pub fn load(&mut self, memory: &mut Memory, stack: &[u8]) -> Result<()> {
        let start = (process::STACK_TOP - stack.len()) & !(PAGE - 1);
        self.renew(memory, start)?;
        for (page, frame) in self.image.large_pages(memory) {
            if self.space.has_large_page(page) {
                continue;
            }
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
        if self.again {
            // What it has not is new among them, and comes by one fault.
            return Ok(());
        }
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
            let fill = |bytes: &mut [u8]| {
                let (from, at) = match page >= start {
                    true => (page - start, 0),
                    false => (0, start - page),
                };
                let part = &stack[from..][..PAGE - at];
                bytes[..at].fill(0);
                bytes[at..].copy_from_slice(part);
            };
            match self.space.own_frame(page) {
                Some(frame) => memory.with(frame, fill)?,
                None => {
                    let frame = memory.filled(fill)?;
                    self.space.adopt(memory, frame, page, 3)?;
                }
            }
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
            child.discard(memory)?;
            return Err(error);
        }
        let from = self.kit.info as *const u8;
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
pub fn zeroed(page: usize) -> bool {
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
