// SPDX-License-Identifier: BSD-2-Clause
//! Shells: what is left of a process that has ended, for the next one of its program. Making page tables and CNodes and emptying them again
//! would be most of what a process costs.
//!
//! A shell has no thread, no capability of the process but to its own notification, and of its pages those that the program's processes touch
//! first. They still hold what the process left; all of them are written before the next one runs ([`Process::renew`]). Only processes of
//! the boot archive's programs, of one thread, without a connection to the net server and of a usual size leave one.
//! When memory gets short, all shells end.

use alloc::collections::BTreeSet;
use alloc::rc::Rc;

use sel4_bindings::*;
use vfs_hooks::channel::CNODES;
use vfs_hooks::process::{self, PAGE, ProcessInfo, badge, slot};

use crate::image::Image;
use crate::memory::Memory;
use crate::objects::{Objects, Result};
use crate::process::{Process, zeroed};
use crate::space::{Space, is_fixed};
use crate::table::Table;
use crate::threads::{Notification, Thread, message_page, write_message_page};

/// Most shells at a time.
const MOST: usize = 32;
/// Memory that must be left for a shell to be kept.
const PLENTY: u64 = 32 << 20;
/// Pages at the stack's end that each process has: what its beginning takes.
const TOP: core::ops::Range<usize> = process::STACK_TOP - 2 * PAGE..process::STACK_TOP;

/// Capabilities and pages that each process has from its beginning.
pub struct Kit {
    /// First-level CNode.
    pub top: CPtr,
    /// CNode of its own capabilities.
    pub own: CPtr,
    /// Its notification.
    pub notification: Notification,
    /// Its first thread's.
    pub firsts: Notification,
    /// The first thread's state, as the root server sees it.
    pub state: usize,
    /// The page of the first thread's IPC buffer.
    pub buffer: CPtr,
    /// Its information page, as the root server sees it.
    pub info: usize,
    /// Its counters.
    pub stats: CPtr,
    /// The first thread, and the memory that is it: made anew for each process, which no other way clears the FPU's registers of.
    tcb: CPtr,
    tcb_memory: CPtr,
    /// CNode of its notification queues.
    pub queue_table: Table,
    /// CNodes of its channels.
    pub channel_tables: [Table; CNODES],
    /// Channels of which there is something in these.
    pub mounted: BTreeSet<usize>,
}

/// What is left of a process.
pub struct Shell {
    image: Rc<Image>,
    space: Space,
    kit: Kit,
}

impl Kit {
    /// Everything but the thread.
    pub fn new(memory: &mut Memory, space: &mut Space, number: usize) -> Result<Kit> {
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
        let (buffer, state) = message_page(memory, 0)?;
        space.adopt(memory, buffer, process::IPC_BUFFER, 3)?;
        let mut page = |memory: &mut Memory, address: usize, prot: u64| {
            let frame = memory.frame()?;
            space.adopt(memory, frame, address, prot)?;
            Ok::<CPtr, Error>(frame)
        };
        let info = page(memory, process::INFO, 1)?;
        let stats = page(memory, process::STATS, 3)?;
        let info = memory.lens(info)?;
        let objects = &mut memory.objects;
        let tcb = objects.slot()?;
        let tcb_memory = match objects.untyped(ObjectType::Tcb.size_bits()) {
            Ok(memory) => memory,
            Err(error) => {
                objects.free_slot(tcb);
                return Err(error);
            }
        };
        Ok(Kit {
            top,
            own,
            notification,
            firsts,
            state,
            buffer,
            info,
            stats,
            tcb,
            tcb_memory,
            queue_table: Table::default(),
            channel_tables: [Table::default(); CNODES],
            mounted: BTreeSet::new(),
        })
    }

    /// The first thread, without settings.
    pub fn thread(&self, memory: &Memory) -> Result<Thread> {
        let (tcb, object) = (self.tcb, ObjectType::Tcb);
        memory
            .objects
            .retype(self.tcb_memory, object, 0, tcb.0, 1)?;
        Ok(Thread::new(tcb, self.firsts, self.state))
    }

    /// Gives back what is not the space's.
    fn end(self, objects: &mut Objects) -> Result<()> {
        objects.give_back(self.tcb_memory, ObjectType::Tcb.size_bits())?;
        objects.free_slot(self.tcb);
        Ok(())
    }

    /// Gives everything back.
    pub fn end_with(self, memory: &mut Memory, space: Space) -> Result<()> {
        self.end(&mut memory.objects)?;
        space.end(memory)
    }
}

impl Shell {
    /// Of whose processes it is.
    pub fn is_of(&self, image: &Rc<Image>) -> bool {
        Rc::ptr_eq(&self.image, image)
    }

    /// Its parts, for a process.
    pub fn open(self) -> (Space, Kit) {
        (self.space, self.kit)
    }

    /// Bytes that its end gives back.
    pub fn bytes(&self) -> u64 {
        self.space.holds().0 + (1 << ObjectType::Tcb.size_bits())
    }

    /// Gives everything back.
    pub fn end(self, memory: &mut Memory) -> Result<()> {
        self.kit.end_with(memory, self.space)?;
        Image::release(self.image, memory)
    }
}

impl Process {
    /// Ends it, in whatever state, and gives everything back but its connection to the net server. What is usual of it becomes a shell.
    pub fn end(mut self, memory: &mut Memory) -> Result<()> {
        self.queues.destroy_all(memory)?;
        self.end_watches(memory)?;
        if !self.leaves_shell(memory) {
            self.kit.end_with(memory, self.space)?;
            return Image::release(self.image, memory);
        }
        // The thread first: nothing of it may be left when its memory changes hands.
        memory.objects.empty(self.kit.tcb_memory)?;
        for channel in core::mem::take(&mut self.kit.mounted) {
            self.take_channel(channel);
        }
        for slot in [slot::ROOT, slot::FAULT, slot::VFS] {
            cnode_delete(self.kit.own, slot as u64, slot::OWN_BITS as u8)?;
        }
        let image = &self.image;
        image.doubt(|page| zeroed(page) || image.elf.writable(page, PAGE));
        self.space.retain(memory, |page, prot, own| match own {
            _ if is_fixed(page) || TOP.contains(&page) => true,
            true if zeroed(page) => prot == 3 && image.is_warm(page),
            true => prot == 7 && image.is_warm(page) && image.elf.writable(page, PAGE),
            // Of what others have only the program's own pages are below the heap.
            false => prot == 5 && page < process::BRK && !image.elf.writable(page, PAGE),
        });
        memory.keep_shell(Shell {
            image: self.image,
            space: self.space,
            kit: self.kit,
        });
        Ok(())
    }

    fn leaves_shell(&self, memory: &Memory) -> bool {
        self.number < badge::NET_SERVER
            && self.client.is_none()
            && self.image.stays.get()
            && self.threads.is_single()
            && self.space.is_plain()
            && memory.available() > PLENTY
            && memory.shells() < MOST
    }

    /// Clears what a shell's process left in the pages that each process has.
    pub fn renew_fixed(&self, memory: &mut Memory) -> Result<()> {
        for page in [process::IPC_BUFFER, process::STATS, process::INFO] {
            let frame = self.space.own_frame(page).ok_or(Error::FailedLookup)?;
            let len = match page {
                // Only the root server writes it.
                process::INFO => size_of::<ProcessInfo>(),
                _ => PAGE,
            };
            memory.with(frame, |bytes| bytes[..len].fill(0))?;
        }
        write_message_page(memory, self.kit.buffer, 0)?;
        self.kit.notification.forget();
        self.kit.firsts.forget();
        Ok(())
    }

    /// Writes all other pages that a shell's process left, but for the stack from `stack` on, which the caller writes. It does not run yet.
    pub fn renew(&self, memory: &mut Memory, stack: usize) -> Result<()> {
        for (page, frame, own) in self.space.small_pages() {
            if !own || is_fixed(page) || page >= stack && page < process::STACK_TOP {
                continue;
            }
            memory.with(frame, |bytes| match zeroed(page) {
                true => bytes.fill(0),
                false => self.image.fill(page, bytes),
            })?;
        }
        Ok(())
    }
}
