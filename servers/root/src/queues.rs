// SPDX-License-Identifier: BSD-2-Clause
//! Notification queues and watch slots of processes.

use alloc::vec::Vec;
use core::ops::Range;

use root_server::errno;
use sel4_bindings::*;
use vfs_hooks::process::{
    self, CSPACE_BITS, CSPACE_LOW_BITS, FEW_WATCHES, LARGE_PAGE, MAX_QUEUES, MAX_WATCHES, PAGE,
    QUEUE_CAPS, WATCH_GROUP, WATCHES, client_watches, cptr, notice, queue_buffer,
};

use crate::arena::Arena;
use crate::memory::{Memory, View};
use crate::objects::Result;
use crate::process::Process;
use crate::table::{Place, Table};

/// Bits of a CNode with a group of watches, and of the one that holds these: together they take what the first level leaves.
const GROUP_BITS: u32 = WATCH_GROUP.ilog2();
const DIRECTORY_BITS: u32 = CSPACE_LOW_BITS - GROUP_BITS;
/// Bits of the CNode of the first watches, which most processes have no more of.
const FEW_BITS: u32 = FEW_WATCHES.ilog2();

/// A notification queue of a process.
struct Queue {
    untyped: CPtr,
    /// The original capability, which revokes all others and all attachments.
    cap: CPtr,
    small: CPtr,
    /// The buffer that the kernel writes, as the root server sees it.
    view: usize,
    /// The view of the large buffer, once that is the one.
    large_view: Option<View>,
    large: Option<CPtr>,
}

impl Queue {
    /// Entries that the kernel has written: the first word of the buffer.
    fn entries(&self) -> u64 {
        // SAFETY: the view is mapped while the queue lives; the kernel writes aligned words.
        unsafe { (self.view as *const u64).read_volatile() }
    }
}

impl Queue {
    /// Deletes the queue and gives its memory back.
    fn destroy(self, memory: &mut Memory) -> Result<()> {
        // Revoking the untyped memory deletes the process's capability, all attachments and the queue; then nothing writes the
        // buffers any more.
        let bits = ObjectType::NotificationQueue.size_bits();
        memory.objects.give_back(self.untyped, bits)?;
        memory.objects.free_slot(self.cap);
        if let Some(view) = self.large_view {
            memory.end_view(view)?;
        }
        x86_page_unmap(self.small)?;
        memory.free(self.small);
        if let Some(large) = self.large {
            x86_page_unmap(large)?;
            memory.free_large(large);
        }
        Ok(())
    }
}

/// CNodes of a process's watches, which end with it also if the rest is kept.
#[derive(Default)]
pub struct WatchCNodes {
    arena: Arena,
    /// Of the first watches, mounted until there are more.
    few: Option<CPtr>,
    /// From then on in its place: the one that holds those with groups of watches.
    directory: Option<CPtr>,
}

impl WatchCNodes {
    /// Bytes and slots of all of them.
    pub fn holds(&self) -> (u64, usize) {
        self.arena.holds()
    }
}

/// All queues of a process.
#[derive(Default)]
pub struct Queues {
    queues: Vec<Option<Queue>>,
    /// Entries of queues that are gone.
    past_entries: u64,
}

/// What QUEUE_RESIZE returns besides an errno: a collection's badge and position.
pub type Collected = (u64, u64);

impl Queues {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.queues.iter().flatten().count()
    }

    /// Bytes and slots of all of them.
    pub fn holds(&self) -> (u64, usize) {
        let object = 1 << ObjectType::NotificationQueue.size_bits();
        let each = |queue: &Queue| match queue.large {
            None => (object + PAGE, 1),
            // Its frame has a slot that counts as kept.
            Some(_) => (object + PAGE + LARGE_PAGE, 2),
        };
        let all = self.queues.iter().flatten().map(each);
        all.fold((0, 0), |(bytes, slots), (b, s)| {
            (bytes + b as u64, slots + s)
        })
    }

    /// The end of the process.
    pub fn destroy_all(&mut self, memory: &mut Memory) -> Result<()> {
        for queue in core::mem::take(&mut self.queues).into_iter().flatten() {
            queue.destroy(memory)?;
        }
        Ok(())
    }

    /// Entries that the kernel wrote in all of them, ever.
    pub fn entries(&self) -> u64 {
        let now: u64 = self.queues.iter().flatten().map(Queue::entries).sum();
        self.past_entries + now
    }
}

impl Process {
    /// QUEUE_CREATE. Answers with an errno and the queue's number.
    pub fn create_queue(&mut self, memory: &mut Memory) -> (u64, u64) {
        if kernel() != Some(Kernel::Queue) {
            return (errno::ENOSYS, 0);
        }
        let queues = &mut self.queues.queues;
        let number = queues.iter().position(Option::is_none);
        let number = number.unwrap_or(queues.len());
        if number >= MAX_QUEUES {
            return (errno::EMFILE, 0);
        }
        if !memory.has_room(16) {
            return (errno::ENOMEM, 0);
        }
        match self.make_queue(memory, number) {
            Ok(queue) => {
                let queues = &mut self.queues.queues;
                match queues.get_mut(number) {
                    Some(free) => *free = Some(queue),
                    None => queues.push(Some(queue)),
                }
                (errno::OK, number as u64)
            }
            Err(_) => (errno::ENOMEM, 0),
        }
    }

    fn make_queue(&mut self, memory: &mut Memory, number: usize) -> Result<Queue> {
        let bits = ObjectType::NotificationQueue.size_bits();
        let small = memory.frame()?;
        let made = memory.lens(small).and_then(|view| {
            let cap = memory.objects.slot()?;
            match memory.objects.untyped(bits) {
                Ok(untyped) => Ok((view, cap, untyped)),
                Err(error) => {
                    memory.objects.free_slot(cap);
                    Err(error)
                }
            }
        });
        let (view, cap, untyped) = match made {
            Ok(made) => made,
            Err(error) => {
                memory.free(small);
                return Err(error);
            }
        };
        let queue = Queue {
            untyped,
            cap,
            small,
            view,
            large_view: None,
            large: None,
        };
        match self.furnish_queue(memory, number, &queue) {
            Ok(()) => Ok(queue),
            Err(error) => {
                queue.destroy(memory)?;
                Err(error)
            }
        }
    }

    fn furnish_queue(&mut self, memory: &mut Memory, number: usize, queue: &Queue) -> Result<()> {
        let (cap, object) = (queue.cap, ObjectType::NotificationQueue);
        memory.objects.retype(queue.untyped, object, 0, cap.0, 1)?;
        notification_queue_set_buffer(cap, queue.small)?;
        self.map_buffer(memory, queue.small, queue_buffer(number))?;
        let place = self.place(QUEUE_CAPS, CSPACE_LOW_BITS);
        let arena = &mut self.space.arena;
        let (cnode, bits) = self.kit.queue_table.reach(memory, arena, place, number)?;
        let (both, none) = (CapRights::READ_WRITE, CapData::NONE);
        memory
            .objects
            .mint_into(cnode, number, bits, cap, both, none)
    }

    fn map_buffer(&mut self, memory: &mut Memory, frame: CPtr, address: usize) -> Result<()> {
        let (vspace, arena) = (self.space.vspace, &mut self.space.arena);
        let cached = VmAttributes::WRITE_BACK;
        memory
            .objects
            .map(arena, vspace, frame, address, CapRights::READ, cached)
    }

    /// QUEUE_RESIZE. Answers with an errno and what was collected.
    pub fn resize_queue(&mut self, memory: &mut Memory, number: u64) -> (u64, Collected) {
        match self.enlarge(memory, number as usize) {
            None => (errno::EINVAL, (0, 0)),
            Some(Err(_)) => (errno::ENOMEM, (0, 0)),
            Some(Ok(collected)) => (errno::OK, collected),
        }
    }

    /// `None`: no such queue, or it is large already.
    fn enlarge(&mut self, memory: &mut Memory, number: usize) -> Option<Result<Collected>> {
        let queue = self.queues.queues.get_mut(number)?.as_mut()?;
        if queue.large.is_some() {
            return None;
        }
        Some((|| {
            let frame = memory.large_frame()?;
            let address = queue_buffer(number) + LARGE_PAGE;
            let (vspace, arena) = (self.space.vspace, &mut self.space.arena);
            let cached = VmAttributes::WRITE_BACK;
            memory
                .objects
                .map(arena, vspace, frame, address, CapRights::READ, cached)?;
            let view = memory.view_large(frame, CapRights::READ)?;
            queue.large = Some(frame);
            let message = notification_queue_set_buffer(queue.cap, frame)?;
            // The old buffer stays mapped in the process, which still copies the collected run out of it.
            queue.view = view.address;
            queue.large_view = Some(view);
            Ok((message.badge, message.mrs[0]))
        })())
    }

    /// QUEUE_DESTROY. Answers with an errno.
    pub fn destroy_queue(&mut self, memory: &mut Memory, number: u64) -> u64 {
        let queues = &mut self.queues.queues;
        let Some(queue) = queues.get_mut(number as usize).and_then(Option::take) else {
            return errno::EINVAL;
        };
        self.queues.past_entries += queue.entries();
        match queue.destroy(memory) {
            Ok(()) => errno::OK,
            // Never seen: all that is deleted is the root server's own.
            Err(_) => errno::ENOMEM,
        }
    }

    /// WATCHES_GROW. `net` is the net server, if there is one. Answers with an errno and the number of watch slots.
    pub fn grow_watches(
        &mut self,
        memory: &mut Memory,
        net: Option<&mut NetWatches>,
    ) -> (u64, u64) {
        let next = match self.watches {
            0 => FEW_WATCHES,
            some => (some + 1).next_multiple_of(WATCH_GROUP),
        };
        if next > MAX_WATCHES || !memory.has_room(64) {
            return (errno::ENOMEM, self.watches as u64);
        }
        let new = self.watches..next;
        let grown = match kernel() {
            Some(Kernel::Queue) => self.add_notifications(memory, new.clone()),
            _ => Ok(()),
        };
        let grown = grown.and_then(|()| match net {
            Some(net) => self.show_watches(memory, net, new),
            None => Ok(()),
        });
        match grown {
            Ok(()) => {
                self.watches = next;
                (errno::OK, self.watches as u64)
            }
            Err(_) => (errno::ENOMEM, self.watches as u64),
        }
    }

    /// Queue kernel: a notification for each of the slots `new`, which the process can attach.
    fn add_notifications(&mut self, memory: &mut Memory, new: Range<usize>) -> Result<()> {
        let (arena, all) = (&mut self.watch_cnodes.arena, CapRights::ALL);
        // Small CNodes: the kernel empties every slot one by one when the process ends, used or not.
        let bits = match new.start {
            0 => FEW_BITS,
            _ => GROUP_BITS,
        };
        let cnode = memory.objects.cnode_in(arena, bits)?;
        let object = ObjectType::Notification;
        let untyped = memory.objects.chunk(arena, object.size_bits(), new.len())?;
        let (first, count) = ((new.start % WATCH_GROUP) as u64, new.len() as u64);
        untyped_retype(untyped, object.number(), 0, cnode, 0, 0, first, count)?;
        match (self.watch_cnodes.few, self.watch_cnodes.directory) {
            (None, _) => {
                self.mount(memory, WATCHES, cnode, FEW_BITS)?;
                self.watch_cnodes.few = Some(cnode);
                Ok(())
            }
            (Some(few), None) => {
                for i in 0..FEW_WATCHES as u64 {
                    cnode_copy(cnode, i, GROUP_BITS as u8, few, i, FEW_BITS as u8, all)?;
                }
                let directory = memory.objects.cnode_in(arena, DIRECTORY_BITS)?;
                let (objects, none) = (&mut memory.objects, CapData::NONE);
                objects.mint_into(directory, 0, DIRECTORY_BITS, cnode, all, none)?;
                objects.exchange(
                    self.top(),
                    WATCHES,
                    process::CSPACE_TOP_BITS,
                    directory,
                    none,
                )?;
                self.watch_cnodes.directory = Some(directory);
                Ok(())
            }
            (Some(_), Some(directory)) => {
                let (group, none) = (new.start / WATCH_GROUP, CapData::NONE);
                memory
                    .objects
                    .mint_into(directory, group, DIRECTORY_BITS, cnode, all, none)
            }
        }
    }

    /// The end of the process.
    pub fn end_watches(&mut self, memory: &mut Memory) -> Result<()> {
        let watches = core::mem::take(&mut self.watch_cnodes);
        memory.objects.end_arena(watches.arena)
    }

    /// Whether the process has a capability for each watch slot.
    pub fn has_watch_caps(&self) -> bool {
        self.watch_cnodes.few.is_some()
    }

    /// Lets the net server signal these watches.
    pub fn show_watches(
        &self,
        memory: &mut Memory,
        net: &mut NetWatches,
        watches: Range<usize>,
    ) -> Result<()> {
        if watches.is_empty() {
            return Ok(());
        }
        let (signals, bits) = net.table(memory, watches.end - 1)?;
        for watch in watches {
            match self.has_watch_caps() {
                true => cnode_mint(
                    signals,
                    watch as u64,
                    bits as u8,
                    self.top(),
                    cptr(WATCHES, watch) as u64,
                    CSPACE_BITS as u8,
                    CapRights::WRITE,
                    CapData::notification(1),
                )?,
                // Unmodified kernel: a badge bit of the process's own notification.
                false => {
                    let bit = notice::FIRST_WATCH + watch as u32 % notice::WATCH_BITS;
                    memory.objects.mint_into(
                        signals,
                        watch,
                        bits,
                        self.notification.whole,
                        CapRights::WRITE,
                        CapData::notification(1 << bit),
                    )?;
                }
            }
        }
        Ok(())
    }
}

/// The net server's CNode of one client's watches.
pub struct NetWatches {
    place: Place,
    table: Table,
    arena: Arena,
}

impl NetWatches {
    /// Those of `client`, for the net server.
    pub fn new(net: &Process, client: usize) -> NetWatches {
        NetWatches {
            place: net.place(client_watches(client), CSPACE_LOW_BITS),
            table: Table::default(),
            arena: Arena::default(),
        }
    }

    /// The end of the client.
    pub fn end(self, memory: &mut Memory) -> Result<()> {
        memory.objects.end_arena(self.arena)
    }

    /// The CNode and its bits, with room for a watch.
    fn table(&mut self, memory: &mut Memory, watch: usize) -> Result<(CPtr, u32)> {
        self.table.reach(memory, &mut self.arena, self.place, watch)
    }
}
