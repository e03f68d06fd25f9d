// SPDX-License-Identifier: BSD-2-Clause
//! A process: its thread, CSpace, fixed pages, and what the root server remembers of it.

use alloc::string::String;

use root_server::elf::Elf;
use sel4_bindings::*;
use vfs_hooks::process::{self, LARGE_PAGE, PAGE, ProcessInfo, ProcessStats, badge, slot};

use crate::memory::Memory;
use crate::objects::Result;
use crate::queues::Queues;
use crate::space::Space;
use crate::spawn_meter;

/// Priority of every process and of the root server: one, so that calls take the kernel's fast path.
pub const PRIORITY: u8 = 100;

/// Sizes that the process gets.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Heap, in bytes.
    pub heap: usize,
    /// Stack, in bytes.
    pub stack: usize,
}

/// A process.
pub struct Process {
    /// Its number.
    pub number: usize,
    /// Path of its program.
    pub path: String,
    /// Its program, for fault reports.
    pub elf: Elf<'static>,
    /// Its first thread.
    pub tcb: CPtr,
    /// Its memory.
    pub space: Space,
    /// First-level CNode.
    top: CPtr,
    /// CNode of its own capabilities.
    own: CPtr,
    /// Its notification, unbadged.
    pub notification: CPtr,
    /// To signal [`process::notice::TIMER`].
    pub timer: CPtr,
    /// To signal [`process::notice::KICK`].
    pub kick: CPtr,
    /// Its information page, as the root server sees it.
    info: *mut ProcessInfo,
    /// Its counters.
    stats: *const ProcessStats,
    /// Its notification queues.
    pub queues: Queues,
    /// Its watch slots.
    pub watches: usize,
    /// CNode of its watches (queue kernel), once there are any.
    pub watch_cnode: Option<CPtr>,
    /// CLOCK_MONOTONIC nanoseconds at which to signal it.
    pub deadline: Option<u64>,
    /// It does not run any more.
    pub ended: bool,
}

impl Process {
    /// Makes a process out of a checked program, without code, heap or stack; it does not run yet.
    pub fn new(
        memory: &mut Memory,
        number: usize,
        path: &str,
        elf: Elf<'static>,
        endpoint: CPtr,
    ) -> Result<Process> {
        spawn_meter::begin();
        let space = Space::new(memory)?;
        let top = memory.objects.cnode(process::CSPACE_TOP_BITS)?;
        let own = memory.objects.cnode(slot::OWN_BITS)?;
        let notification = memory.objects.object(ObjectType::Notification)?;
        let tcb = memory.objects.object(ObjectType::Tcb)?;
        let timer = CapData::notification(process::notice::TIMER);
        let timer = memory.objects.mint(notification, CapRights::WRITE, timer)?;
        let kick = CapData::notification(process::notice::KICK);
        let kick = memory.objects.mint(notification, CapRights::WRITE, kick)?;

        let info = memory.frame()?;
        let stats = memory.frame()?;
        let buffer = memory.frame()?;
        let info_view = memory.view(info, CapRights::READ_WRITE)?;
        let stats_view = memory.view(stats, CapRights::READ)?;
        space.map_fixed(memory, info, process::INFO, CapRights::READ)?;
        space.map_fixed(memory, stats, process::STATS, CapRights::READ_WRITE)?;
        space.map_fixed(memory, buffer, process::IPC_BUFFER, CapRights::READ_WRITE)?;

        let process = Process {
            number,
            path: path.into(),
            elf,
            tcb,
            space,
            top,
            own,
            notification,
            timer,
            kick,
            info: info_view.address as *mut ProcessInfo,
            stats: stats_view.address as *const ProcessStats,
            queues: Queues::default(),
            watches: 0,
            watch_cnode: None,
            deadline: None,
            ended: false,
        };
        process.mount(memory, process::OWN, own, slot::OWN_BITS)?;
        let named = |number: usize| {
            let badge = EndpointBadge::new(number as u64).ok_or(Error::RangeError)?;
            Ok(CapData::endpoint(badge))
        };
        // Calls and faults need the grant right: the kernel makes a reply capability.
        let call = CapRights::new(true, false, true);
        process.give(memory, slot::ROOT, endpoint, call, named(number)?)?;
        let fault = named(number | badge::FAULT)?;
        process.give(memory, slot::FAULT, endpoint, call, fault)?;
        let both = CapRights::READ_WRITE;
        process.give(
            memory,
            slot::NOTIFICATION,
            notification,
            both,
            CapData::NONE,
        )?;

        let guard = 64 - process::CSPACE_TOP_BITS - process::CSPACE_LOW_BITS;
        tcb_configure(
            tcb,
            process::cptr(process::OWN, slot::FAULT) as u64,
            PrioProps {
                priority: PRIORITY,
                max_controlled: 0,
            },
            top,
            CapData::guard(0, guard).ok_or(Error::RangeError)?,
            process.space.vspace,
            CapData::NONE,
            process::IPC_BUFFER as u64,
            buffer,
        )?;
        tcb_bind_notification(tcb, notification)?;
        Ok(process)
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

    /// Changes the information page.
    pub fn write_info(&mut self, change: impl FnOnce(&mut ProcessInfo)) {
        // SAFETY: the view is mapped read-write for ever and only this function makes a mutable reference, before the process
        // runs; any bytes are a valid ProcessInfo.
        change(unsafe { &mut *self.info })
    }

    /// The information page.
    pub fn info(&self) -> &ProcessInfo {
        // SAFETY: mapped for ever; what changes while the process runs are its atomics.
        unsafe { &*self.info }
    }

    /// The counters.
    pub fn stats(&self) -> &ProcessStats {
        // SAFETY: mapped for ever; it consists of atomics.
        unsafe { &*self.stats }
    }

    /// Loads the program, maps heap and stack, and puts `stack` on top of the latter.
    pub fn load(&mut self, memory: &mut Memory, sizes: Sizes, stack: &[u8]) -> Result<()> {
        for page in self.elf.pages() {
            let frame = memory.frame()?;
            let elf = &self.elf;
            memory.with(frame, |bytes| {
                for (offset, part) in elf.contents(page, PAGE) {
                    bytes[offset..offset + part.len()].copy_from_slice(part);
                }
            })?;
            let prot = if elf.writable(page, PAGE) { 7 } else { 5 };
            self.space.adopt(memory, frame, page, prot)?;
        }
        self.map_large(memory, process::HEAP, sizes.heap)?;
        let bottom = process::STACK_TOP - sizes.stack;
        let last = self.map_large(memory, bottom, sizes.stack - LARGE_PAGE)?;
        let top = memory.large_frame()?;
        memory.with_large(top, |bytes| {
            let at = bytes.len() - stack.len();
            bytes[at..].copy_from_slice(stack);
        })?;
        self.space
            .map_fixed(memory, top, last, CapRights::READ_WRITE)?;
        let image_end = self.elf.end().next_multiple_of(PAGE) as u64;
        self.write_info(|info| {
            info.heap_len = sizes.heap as u64;
            info.stack_len = sizes.stack as u64;
            info.image_end = image_end;
        });
        Ok(())
    }

    /// Maps `len` bytes of zeroed memory in large pages; returns their end.
    fn map_large(&self, memory: &mut Memory, start: usize, len: usize) -> Result<usize> {
        for address in (start..start + len).step_by(LARGE_PAGE) {
            let frame = memory.large_frame()?;
            self.space
                .map_fixed(memory, frame, address, CapRights::READ_WRITE)?;
        }
        Ok(start + len)
    }

    /// Starts the thread, `used` bytes down its stack.
    pub fn start(&self, used: usize) -> Result<()> {
        let registers = UserContext {
            rip: self.elf.entry as u64,
            rsp: (process::STACK_TOP - used) as u64,
            rflags: 0x202,
            ..UserContext::default()
        };
        tcb_write_registers(self.tcb, true, 0, UserContext::COUNT, &registers)?;
        spawn_meter::end(&self.path);
        Ok(())
    }

    /// SET_TLS, while the thread waits for the reply.
    pub fn set_tls(&self, base: u64) -> Result<()> {
        let mut registers = tcb_read_registers(self.tcb, false, 0, UserContext::COUNT)?;
        // Writing registers makes the kernel resume at rip, which is the `syscall` instruction of the call.
        registers.rip += 2;
        registers.tls_base = base;
        tcb_write_registers(self.tcb, false, 0, UserContext::COUNT, &registers)
    }

    /// Signals `deadline` if it has come; the next deadline otherwise.
    pub fn expire(&mut self, now: u64) -> Option<u64> {
        let deadline = self.deadline?;
        if deadline > now {
            return Some(deadline);
        }
        self.deadline = None;
        signal(self.timer);
        None
    }
}

/// Bytes of memory that a program needs to start.
pub fn needs(elf: &Elf, sizes: Sizes) -> u64 {
    let image: usize = elf.segments.iter().map(|s| s.memory.len() + PAGE).sum();
    // Page tables and the process's own objects come on top.
    (image + image / 512 + sizes.heap + sizes.stack + (1 << 20)) as u64
}
