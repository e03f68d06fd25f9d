// SPDX-License-Identifier: BSD-2-Clause
//! What the net server gets besides a process: the card, memory for it, and channels to its clients.

use root_server::errno;
use sel4_bindings::*;
use vfs_hooks::net::{CHUNK_SIZE, CHUNK_SLOTS, Control, SLOTS, SLOTS_OFFSET, channel_base};
use vfs_hooks::process::{self, LARGE_PAGE, PAGE, badge, notice, slot};
use vfs_hooks::sync::Ordering;

use crate::memory::Memory;
use crate::objects::Result;
use crate::pci::{self, Function};
use crate::process::Process;
use crate::queues::NetWatches;

/// Memory that the card reads and writes: 2^22 bytes.
const DMA_BITS: u32 = 22;
/// Interrupt number of the card's messages; its vector is 0x30 above.
const MSI: u64 = 16;
/// Doorbells have all badge bits from [`notice::FIRST_DOORBELL`] on.
const DOORBELLS: u32 = 64 - notice::FIRST_DOORBELL;
const CHUNKS: usize = SLOTS / CHUNK_SLOTS;

/// A client of the net server.
pub struct Client {
    number: usize,
    control: *const Control,
    /// Chunks of socket slots that are mapped.
    chunks: [bool; CHUNKS],
    /// Its watches, at the net server.
    pub watches: NetWatches,
}

/// Gives `net` the card: registers, memory, interrupt, configuration.
pub fn give_card(memory: &mut Memory, net: &mut Process, card: Function) -> Result<()> {
    card.enable();
    let mut mmio = [[0; 3]; 6];
    let mut at = process::MMIO;
    for (entry, region) in mmio.iter_mut().zip(card.regions()) {
        let first = region.address & !(PAGE as u64 - 1);
        let last = (region.address + region.len).next_multiple_of(PAGE as u64);
        let offset = region.address - first;
        *entry = [region.address, at as u64 + offset, region.len];
        for physical in (first..last).step_by(PAGE) {
            let frame = memory.objects.device_frame(physical)?;
            memory.objects.map(
                net.space.vspace,
                frame,
                at,
                CapRights::READ_WRITE,
                VmAttributes::UNCACHEABLE,
            )?;
            at += PAGE;
        }
    }

    // Frames from one piece of memory lie side by side.
    let untyped = memory.objects.untyped(DMA_BITS)?;
    let count = (1 << DMA_BITS) / LARGE_PAGE;
    let frames = memory.objects.slots(count)?;
    memory
        .objects
        .retype(untyped, ObjectType::LargeFrame, 0, frames, count)?;
    for i in 0..count {
        let address = process::DMA + i * LARGE_PAGE;
        let frame = CPtr(frames + i);
        net.space
            .map_fixed(memory, frame, address, CapRights::READ_WRITE)?;
    }
    let dma_physical = x86_page_get_address(CPtr(frames))?;

    let signal = CapData::notification(notice::DEVICE);
    let signal = memory
        .objects
        .mint(net.notification, CapRights::WRITE, signal)?;
    let (handler, root, depth) = memory.objects.handler_slot()?;
    irq_control_get_msi(
        CPtr::IRQ_CONTROL,
        root,
        handler.index(),
        depth as u64,
        0,
        card.device as u64,
        card.function as u64,
        0,
        MSI,
    )?;
    irq_handler_set_notification(handler, signal)?;
    net.give(
        memory,
        slot::PCI_PORTS,
        CPtr::IO_PORT,
        CapRights::ALL,
        pci::PORTS,
    )?;
    net.write_info(|info| {
        info.nic = card.number();
        info.mmio = mmio;
        info.dma_physical = dma_physical;
        info.dma_len = 1 << DMA_BITS;
        info.msi_vector = MSI as u32;
    });
    Ok(())
}

impl Client {
    /// Connects `program` with `net`: endpoint, doorbell, control page.
    pub fn connect(
        memory: &mut Memory,
        program: &Process,
        net: &Process,
        endpoint: CPtr,
    ) -> Result<Client> {
        let number = program.number - badge::FIRST_PROGRAM;
        let name = EndpointBadge::new(number as u64).ok_or(Error::RangeError)?;
        let call = CapRights::new(true, false, true);
        program.give(memory, slot::NET, endpoint, call, CapData::endpoint(name))?;
        let bit = notice::FIRST_DOORBELL + number as u32 % DOORBELLS;
        let doorbell = CapData::notification(1 << bit);
        program.give(
            memory,
            slot::DOORBELL,
            net.notification,
            CapRights::WRITE,
            doorbell,
        )?;

        let page = memory.frame()?;
        let view = memory.view(page, CapRights::READ_WRITE)?;
        let copy = memory.objects.copy(page)?;
        let both = CapRights::READ_WRITE;
        program
            .space
            .map_fixed(memory, page, process::NET_CHANNEL, both)?;
        net.space
            .map_fixed(memory, copy, channel_base(number), both)?;
        Ok(Client {
            number,
            control: view.address as *const Control,
            chunks: [false; CHUNKS],
            watches: NetWatches::new(net, number),
        })
    }

    /// Its number at the net server.
    pub fn number(&self) -> usize {
        self.number
    }

    /// MAP_SOCKETS. Answers with an errno.
    pub fn map_sockets(
        &mut self,
        memory: &mut Memory,
        program: &Process,
        net: &Process,
        chunk: u64,
    ) -> u64 {
        match self.chunks.get(chunk as usize) {
            None | Some(true) => return errno::EINVAL,
            Some(false) => {}
        }
        match self.add_chunk(memory, program, net, chunk as usize) {
            Ok(()) => errno::OK,
            Err(_) => errno::ENOMEM,
        }
    }

    fn add_chunk(
        &mut self,
        memory: &mut Memory,
        program: &Process,
        net: &Process,
        chunk: usize,
    ) -> Result<()> {
        let frame = memory.large_frame()?;
        let offset = SLOTS_OFFSET + chunk * CHUNK_SIZE;
        let both = CapRights::READ_WRITE;
        let copy = memory.objects.copy(frame)?;
        program
            .space
            .map_fixed(memory, frame, process::NET_CHANNEL + offset, both)?;
        net.space
            .map_fixed(memory, copy, channel_base(self.number) + offset, both)?;
        self.chunks[chunk] = true;
        Ok(())
    }

    /// Tells the net server that the client has ended.
    pub fn ended(&self, net: &Process) {
        // SAFETY: the view of the control page is mapped for ever; it consists of atomics.
        let control = unsafe { &*self.control };
        control.client_ended.store(1, Ordering::Release);
        signal(net.notification);
    }
}
