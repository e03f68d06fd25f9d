// SPDX-License-Identifier: BSD-2-Clause
//! Channels (`vfs_hooks::channel`): their memory, their holders, their watches.

mod parts;

pub use parts::CellCaps;

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use root_server::errno;
use root_server::family::Pid;
use sel4_bindings::*;
use vfs_hooks::Events;
use vfs_hooks::channel::{
    CELL_BITS, CHANNEL_BITS, CHANNEL_CNODES, CHANNELS, Header, MOST, SIDES, SPAN, address,
    watch_number,
};
use vfs_hooks::file::PASSED;
use vfs_hooks::process::{CSPACE_BITS, PAGE, WATCHES, badge, cptr, notice};
use vfs_hooks::subscription::SUBSCRIPTIONS;
use vfs_hooks::sync::Ordering;

use crate::memory::Memory;
use crate::objects::Result;
use crate::process::Process;
use crate::sockets::{Carried, Named};
use crate::system::System;
use crate::udp::Udp;

const CELLS: usize = SIDES * SUBSCRIPTIONS;
/// All sides.
const BOTH: u64 = (1 << SIDES) - 1;

/// A watch of a side.
struct Cell {
    process: usize,
    /// The send capability, of which the one in the CNode is a copy.
    cap: CPtr,
}

/// A channel.
pub struct Channel {
    number: usize,
    /// Where the root server sees its first page.
    header: usize,
    /// Its pages, up to the last one that somebody touched; those after the first only once somebody did.
    pages: Vec<Option<CPtr>>,
    /// The capabilities of its watches, once there is one.
    caps: Option<CellCaps>,
    cells: [Option<Cell>; CELLS],
    /// The process of whose end it tells.
    process: Option<Pid>,
    /// Holders and their sides.
    pub holders: Vec<(usize, u8)>,
    /// How often each side is on its way to another process.
    pub flights: [u32; SIDES],
    /// What is on its way by this channel.
    pub carried: Vec<Carried>,
    /// Its name, for sockets that look for it.
    pub named: Option<Named>,
    /// The inode number of the FIFO that it is.
    pub fifo: Option<u64>,
    /// TCP ports that it holds.
    pub ports: Vec<u16>,
    /// The net server was told that nobody holds side 0 any longer.
    pub hung: bool,
    /// What it has as a UDP socket.
    pub udp: Option<Udp>,
}

impl Channel {
    fn new(memory: &mut Memory, number: usize) -> Result<Channel> {
        let page = memory.frame()?;
        let header = match memory.lens(page) {
            Ok(header) => header,
            Err(error) => {
                memory.free(page);
                return Err(error);
            }
        };
        let pages = Vec::from([Some(page)]);
        Ok(Channel {
            number,
            header,
            pages,
            caps: None,
            cells: [const { None }; CELLS],
            process: None,
            holders: Vec::new(),
            flights: [0; SIDES],
            carried: Vec::new(),
            named: None,
            fifo: None,
            ports: Vec::new(),
            hung: false,
            udp: None,
        })
    }

    /// Its first page's head.
    pub fn header(&self) -> &Header {
        // SAFETY: the view is mapped while the channel lives; the header consists of atomics.
        unsafe { &*(self.header as *const Header) }
    }

    /// Nobody holds it any longer.
    pub fn end(self, memory: &mut Memory) -> Result<()> {
        let empty = self.cells.iter().all(Option::is_none);
        for cell in self.cells.into_iter().flatten() {
            memory.objects.delete(cell.cap)?;
        }
        if let Some(caps) = self.caps {
            caps.end(memory, empty)?;
        }
        for page in self.pages.into_iter().flatten() {
            memory.free(page);
        }
        Ok(())
    }

    /// Sides that a process holds.
    pub fn sides(&self, process: usize) -> u8 {
        let holder = self.holders.iter().find(|(p, _)| *p == process);
        holder.map_or(0, |(_, sides)| *sides)
    }

    /// Makes `process` a holder of `sides`, besides those that it holds.
    pub fn add(&mut self, memory: &mut Memory, process: &mut Process, sides: u8) -> Result<()> {
        let held = self.sides(process.number);
        if held == 0 {
            self.show(memory, process)?;
            self.holders.push((process.number, 0));
        }
        for (number, all) in &mut self.holders {
            if *number == process.number {
                *all |= sides;
            }
        }
        self.count();
        Ok(())
    }

    /// Maps it and mounts its CNode.
    fn show(&self, memory: &mut Memory, process: &mut Process) -> Result<()> {
        if let Some(page) = self.pages[0] {
            process
                .space
                .borrow(memory, page, address(self.number), 3)?;
        }
        if let Some(cnode) = self.cnode()
            && let Err(error) = process.mount_channel(memory, self.number, cnode)
        {
            // It is no holder: nothing of the channel's may stay with it.
            let at = address(self.number);
            process.space.withdraw(memory, at..at + SPAN);
            return Err(error);
        }
        process.channels.insert(self.number);
        Ok(())
    }

    /// Whether no process holds the side, nor ever will.
    pub fn is_unheld(&self, side: usize) -> bool {
        let holds = |(_, sides): &(usize, u8)| sides & 1 << side != 0;
        self.flights[side] == 0 && !self.holders.iter().any(holds)
    }

    /// Says how many hold each side, or will by what is on its way: whatever stood there.
    pub fn count(&self) {
        for (side, shared) in self.header().sides.iter().enumerate() {
            let holds = |(_, sides): &&(usize, u8)| sides & 1 << side != 0;
            let held = self.holders.iter().filter(holds).count() as u32;
            let all = held + self.flights[side];
            shared.holders.store(all, Ordering::Release);
        }
    }

    /// `process` does not hold `sides` any longer. Whether it holds any.
    fn remove(&mut self, memory: &mut Memory, process: usize, sides: u8) -> bool {
        let held = self.sides(process);
        let gone = sides & held;
        self.holders.retain_mut(|(number, all)| {
            if *number == process {
                *all &= !gone;
            }
            *all != 0
        });
        self.count();
        for side in 0..SIDES {
            if gone & 1 << side != 0 {
                for cell in 0..SUBSCRIPTIONS {
                    self.free_cell(memory, process, side, cell);
                }
            }
        }
        let over = |side: usize| gone & 1 << side != 0 && self.is_unheld(side);
        // A UDP socket does not learn of who no longer sends to it.
        if over(0) || over(1) && self.udp.is_none() {
            self.hang_up();
        }
        held & !gone != 0
    }

    /// Nobody holds one of the sides any longer: tells everybody.
    pub fn hang_up(&self) {
        for side in 0..SIDES {
            self.header().publish(side, Events::all(), |_| {});
        }
        // Whatever the cells say: a holder may have died between disarming one and signalling.
        for cell in self.cells.iter().flatten() {
            nb_signal(cell.cap);
        }
    }

    /// The process of which it tells has ended.
    fn process_ended(&self) {
        self.header().value.store(1, Ordering::Release);
        let news = Events::IN | Events::RDNORM;
        self.header().publish(0, news, |_| {});
        self.kick();
    }

    /// Another holder has died in whatever state: all look at what is there.
    pub fn kick(&self) {
        for cell in self.cells.iter().flatten() {
            nb_signal(cell.cap);
        }
    }

    fn free_cell(&mut self, memory: &mut Memory, process: usize, side: usize, cell: usize) -> bool {
        let watch = watch_number(side, cell);
        match &self.cells[watch] {
            Some(found) if found.process == process => {}
            _ => return false,
        }
        self.header().sides[side].subscriptions.unsubscribe(cell);
        if let Some(found) = self.cells[watch].take() {
            // Deleting capabilities of ours does not fail.
            if let Some(cnode) = self.cnode() {
                let _ = cnode_delete(cnode, watch as u64, CELL_BITS as u8);
            }
            let _ = memory.objects.delete(found.cap);
        }
        true
    }
}

/// Which first-level CNode of channels has this one, and where.
fn group_and_index(number: usize) -> (usize, usize) {
    (number >> CHANNEL_BITS, number & ((1 << CHANNEL_BITS) - 1))
}

impl Process {
    /// A send capability that reaches watch slot `watch`.
    fn watch_signal(&mut self, memory: &mut Memory, watch: usize) -> Result<CPtr> {
        match self.has_watch_caps() {
            true => memory.objects.mint_out_of(
                self.top(),
                cptr(WATCHES, watch),
                CSPACE_BITS,
                CapRights::WRITE,
                CapData::notification(1),
            ),
            // Unmodified kernel: a badge bit of the process's own notification.
            false => {
                let bit = notice::FIRST_WATCH + watch as u32 % notice::WATCH_BITS;
                let badge = CapData::notification(1 << bit);
                memory
                    .objects
                    .mint(self.notification.whole, CapRights::WRITE, badge)
            }
        }
    }

    /// Puts a channel's CNode where the process looks for it: by [`Channel::place`].
    pub fn mount_channel(&mut self, memory: &mut Memory, number: usize, cnode: CPtr) -> Result<()> {
        let (group, index) = group_and_index(number);
        let place = self.place(CHANNEL_CNODES + group, CHANNEL_BITS);
        let arena = &mut self.space.arena;
        let (table, bits) = self.kit.channel_tables[group].reach(memory, arena, place, index)?;
        let all = CapRights::ALL;
        memory
            .objects
            .mint_into(table, index, bits, cnode, all, CapData::NONE)?;
        self.kit.mounted.insert(number);
        Ok(())
    }

    /// Takes away a channel's CNode, if it has it.
    fn unmount_channel(&mut self, number: usize) {
        if self.kit.mounted.remove(&number) {
            self.take_channel(number);
        }
    }

    /// Takes away a channel's CNode, which it has.
    pub fn take_channel(&self, number: usize) {
        let (group, index) = group_and_index(number);
        if let Some((table, bits)) = self.kit.channel_tables[group].at(index) {
            // Gone already if the channel is.
            let _ = cnode_delete(table, index as u64, bits as u8);
        }
    }
}

impl System {
    /// CHANNEL_CREATE.
    pub fn channel_create(&mut self, number: usize, sides: u64) -> core::result::Result<u64, u64> {
        if sides == 0 || sides & !BOTH != 0 {
            return Err(errno::EINVAL);
        }
        if !self.may_have_channel(number) {
            return Err(errno::ENFILE);
        }
        if !self.may_have(number, SPAN / PAGE) {
            return Err(errno::ENOMEM);
        }
        let process = self.processes.get_mut(&number).ok_or(errno::EPERM)?;
        let memory = &mut self.memory;
        // Its pages come when they are touched, and then there is nobody to say no to.
        if !memory.has_room(SPAN / PAGE) {
            return Err(errno::ENOMEM);
        }
        let free = self.channels.iter().position(Option::is_none);
        let channel = free.unwrap_or(self.channels.len());
        if channel >= MOST {
            return Err(errno::ENFILE);
        }
        let mut made = Channel::new(memory, channel).map_err(|_| errno::ENOMEM)?;
        if made.add(memory, process, sides as u8).is_err() {
            let _ = made.end(memory);
            return Err(errno::ENOMEM);
        }
        match self.channels.get_mut(channel) {
            Some(free) => *free = Some(Box::new(made)),
            None => self.channels.push(Some(Box::new(made))),
        }
        Ok(channel as u64)
    }

    /// CHANNEL_OF_PROCESS.
    pub fn channel_of_process(
        &mut self,
        number: usize,
        pid: u64,
    ) -> core::result::Result<u64, u64> {
        let pid = Pid::try_from(pid).map_err(|_| errno::ESRCH)?;
        self.family.ids(pid)?;
        let ended = !self.processes.contains_key(&(pid as usize));
        let index = self.channel_create(number, 1)?;
        if let Some(Some(channel)) = self.channels.get_mut(index as usize) {
            channel.process = Some(pid);
            if ended {
                channel.process_ended();
            }
        }
        Ok(index)
    }

    /// Tells those who wait for it that a process has ended.
    pub fn tell_end(&self, pid: Pid) {
        let channels = self.channels.iter().flatten();
        for channel in channels.filter(|channel| channel.process == Some(pid)) {
            channel.process_ended();
        }
    }

    /// CHANNEL_DROP. Answers with an errno.
    pub fn channel_drop(&mut self, number: usize, channel: u64, sides: u64) -> u64 {
        let held = match self.channels.get(channel as usize) {
            Some(Some(channel)) => channel.sides(number),
            _ => 0,
        };
        if held == 0 || sides & !u64::from(held) != 0 || sides == 0 {
            return errno::EINVAL;
        }
        self.release(number, channel as usize, sides as u8);
        errno::OK
    }

    /// `number` holds these sides no longer.
    pub fn release(&mut self, number: usize, index: usize, sides: u8) {
        if number == badge::NET_SERVER {
            self.hung.retain(|told| *told != index);
        }
        let memory = &mut self.memory;
        let Some(Some(channel)) = self.channels.get_mut(index) else {
            return;
        };
        if !channel.remove(memory, number, sides)
            && let Some(process) = self.processes.get_mut(&number)
        {
            let at = address(index);
            process.space.withdraw(memory, at..at + SPAN);
            process.unmount_channel(index);
            process.channels.remove(&index);
        }
        if number == badge::NET_SERVER {
            self.udp_left(index);
        }
        self.sweep(index);
    }

    /// The process has ended and its space is gone.
    pub fn channels_ended(&mut self, number: usize, held: BTreeSet<usize>) {
        for index in held {
            if let Some(Some(channel)) = self.channels.get_mut(index) {
                channel.header().recover(number as u32);
                channel.remove(&mut self.memory, number, BOTH as u8);
                let holders = &channel.holders;
                let holds = |owner: u32| holders.iter().any(|(p, _)| *p == owner as usize);
                channel.header().recover_from_strangers(holds);
                channel.kick();
            }
            self.sweep(index);
        }
    }

    /// Gives `process`, which is being made, channels that `parent` holds: number × 4 + sides each. EBADF: the parent does not hold one.
    pub fn pass_channels(
        &mut self,
        parent: usize,
        process: &mut Process,
        passed: &[u32],
    ) -> core::result::Result<(), u64> {
        for word in passed {
            if word & PASSED != 0 {
                self.pass_file(parent, process, *word)?;
                continue;
            }
            let (index, sides) = ((word >> 2) as usize, (word & 3) as u8);
            let Some(Some(channel)) = self.channels.get_mut(index) else {
                return Err(errno::EBADF);
            };
            if sides == 0 || sides & !channel.sides(parent) != 0 {
                return Err(errno::EBADF);
            }
            channel
                .add(&mut self.memory, process, sides)
                .map_err(|_| errno::ENOMEM)?;
        }
        Ok(())
    }

    /// Whether the process holds all that it wants to pass on.
    pub fn holds_all(&self, number: usize, passed: &[u32]) -> bool {
        passed.iter().all(|word| {
            if word & PASSED != 0 {
                return self.holds_file(number, *word);
            }
            let channel = self.channels.get((word >> 2) as usize);
            let held = channel
                .and_then(Option::as_ref)
                .map_or(0, |c| c.sides(number));
            let sides = (word & 3) as u8;
            sides != 0 && sides & !held == 0
        })
    }

    /// `process` takes the place of one of the same number, which held `held` and passes on some of it.
    pub fn keep_channels(
        &mut self,
        process: &mut Process,
        held: BTreeSet<usize>,
        passed: &[u32],
    ) -> Result<()> {
        let mut result = Ok(());
        for index in held {
            let words = passed.iter().filter(|word| (*word >> 2) as usize == index);
            let kept = words.fold(0, |sides, word| sides | (word & 3) as u8);
            if let Some(Some(channel)) = self.channels.get_mut(index) {
                // Its watches were the old program's.
                for side in 0..SIDES {
                    for cell in 0..SUBSCRIPTIONS {
                        channel.free_cell(&mut self.memory, process.number, side, cell);
                    }
                }
                channel.header().recover(process.number as u32);
                let dropped = channel.sides(process.number) & !kept;
                channel.remove(&mut self.memory, process.number, dropped);
                if kept != 0 {
                    result = result.and(channel.show(&mut self.memory, process));
                }
            }
            self.sweep(index);
        }
        result
    }

    /// All channels of a process and its sides, as words for [`System::pass_channels`].
    pub fn channels_of(&self, number: usize) -> Vec<u32> {
        let Some(process) = self.processes.get(&number) else {
            return Vec::new();
        };
        let held = process.channels.iter().filter_map(|index| {
            let channel = self.channels.get(*index)?.as_ref()?;
            Some((*index as u32) << 2 | u32::from(channel.sides(number)))
        });
        held.collect()
    }

    /// CHANNEL_WATCH.
    pub fn channel_watch(
        &mut self,
        number: usize,
        [index, side, watch]: [u64; 3],
    ) -> core::result::Result<u64, u64> {
        let memory = &mut self.memory;
        let Some(Some(channel)) = self.channels.get_mut(index as usize) else {
            return Err(errno::EINVAL);
        };
        let process = self.processes.get_mut(&number).ok_or(errno::EPERM)?;
        let held = side < SIDES as u64 && channel.sides(number) & 1 << side != 0;
        if !held || watch as usize >= process.watches {
            return Err(errno::EINVAL);
        }
        let side = side as usize;
        let free = |cell: &usize| channel.cells[watch_number(side, *cell)].is_none();
        let cell = (0..SUBSCRIPTIONS).find(free).ok_or(errno::ENOSPC)?;
        // Its CNode and the holders' tables for it: once there is one, all must find it.
        if !memory.has_room(8 * (1 + channel.holders.len())) {
            return Err(errno::ENOMEM);
        }
        let cap = process
            .watch_signal(memory, watch as usize)
            .map_err(|_| errno::ENOMEM)?;
        let all: Vec<usize> = match channel.cnode() {
            None => channel.holders.iter().map(|(holder, _)| *holder).collect(),
            Some(_) => Vec::new(),
        };
        let done = channel.put_watch(memory, watch_number(side, cell), number, cap);
        let done = done.and_then(|cnode| {
            for holder in all {
                if let Some(process) = self.processes.get_mut(&holder) {
                    process.mount_channel(memory, index as usize, cnode)?;
                }
            }
            Ok(())
        });
        match done {
            Ok(()) => Ok(cell as u64),
            Err(_) => {
                channel.free_cell(memory, number, side, cell);
                Err(errno::ENOMEM)
            }
        }
    }

    /// CHANNEL_UNWATCH. Answers with an errno.
    pub fn channel_unwatch(&mut self, number: usize, [index, side, cell]: [u64; 3]) -> u64 {
        let Some(Some(channel)) = self.channels.get_mut(index as usize) else {
            return errno::EINVAL;
        };
        let known = side < SIDES as u64 && cell < SUBSCRIPTIONS as u64;
        match known && channel.free_cell(&mut self.memory, number, side as usize, cell as usize) {
            true => errno::OK,
            false => errno::EINVAL,
        }
    }

    /// A page fault at an address of which the low 32 bits are known: `true` if it was that of a channel's page, which is there now.
    pub fn channel_page(&mut self, number: usize, low: u32) -> bool {
        let offset = low as usize;
        let (index, page) = (offset / SPAN, offset % SPAN / PAGE);
        let memory = &mut self.memory;
        let Some(process) = self.processes.get_mut(&number) else {
            return false;
        };
        let Some(Some(channel)) = self.channels.get_mut(index) else {
            return false;
        };
        let at = CHANNELS + index * SPAN + page * PAGE;
        if !process.channels.contains(&index) || process.space.has_page(at) {
            return false;
        }
        channel.map_page(memory, process, page)
    }
}
