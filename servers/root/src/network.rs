// SPDX-License-Identifier: BSD-2-Clause
//! What the net server gets besides a process: the card, memory for it, and channels to its clients.

use root_server::errno;
use sel4_bindings::*;
use vfs_hooks::net::{
    CHANNEL_SIZE, CHUNK_SIZE, CHUNK_SLOTS, Control, SLOTS, SLOTS_OFFSET, channel_base,
};
use vfs_hooks::process::{self, LARGE_PAGE, MOST_CLIENTS, PAGE, badge, notice, slot};
use vfs_hooks::sync::Ordering;

use crate::memory::Memory;
use crate::objects::Result;
use crate::pci::{self, Function};
use crate::process::Process;
use crate::queues::NetWatches;
use crate::system::System;

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
    /// The process, until it ends; the client goes on until the net server is done with it.
    process: Option<usize>,
    page: CPtr,
    /// Where the root server sees its control page.
    control: usize,
    /// Chunks of socket slots, once they are mapped.
    chunks: [Option<CPtr>; CHUNKS],
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
                &mut net.space.arena,
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
        net.space.adopt_large(memory, frame, address)?;
    }
    let dma_physical = x86_page_get_address(CPtr(frames))?;

    let signal = CapData::notification(notice::DEVICE);
    let signal = memory
        .objects
        .mint(net.notification.whole, CapRights::WRITE, signal)?;
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
    /// Makes `program` client `number` of `net`: endpoint, doorbell, control page.
    fn connect(
        memory: &mut Memory,
        number: usize,
        program: &mut Process,
        net: &mut Process,
        endpoint: CPtr,
    ) -> Result<Client> {
        // What it may have copied from its parent, and thrown away.
        let old = process::NET_CHANNEL..process::NET_CHANNEL + CHANNEL_SIZE;
        program.space.withdraw(memory, old);
        let page = memory.frame()?;
        let control = match memory.lens(page) {
            Ok(address) => address,
            Err(error) => {
                memory.free(page);
                return Err(error);
            }
        };
        let mut client = Client {
            number,
            process: Some(program.number),
            page,
            control,
            chunks: [None; CHUNKS],
            watches: NetWatches::new(net, number),
        };
        let equipped = client.equip(memory, program, net, endpoint);
        let watches = 0..program.watches;
        match equipped.and_then(|()| program.show_watches(memory, &mut client.watches, watches)) {
            Ok(()) => Ok(client),
            Err(error) => {
                let at = process::NET_CHANNEL;
                program.space.withdraw(memory, at..at + PAGE);
                client.end(memory, net)?;
                Err(error)
            }
        }
    }

    fn equip(
        &self,
        memory: &mut Memory,
        program: &mut Process,
        net: &mut Process,
        endpoint: CPtr,
    ) -> Result<()> {
        let (at_program, at_net) = (process::NET_CHANNEL, channel_base(self.number));
        program.space.borrow(memory, self.page, at_program, 3)?;
        net.space.borrow(memory, self.page, at_net, 3)?;
        let name = EndpointBadge::new(self.number as u64).ok_or(Error::RangeError)?;
        let call = CapRights::new(true, false, true);
        program.give(memory, slot::NET, endpoint, call, CapData::endpoint(name))?;
        let bit = notice::FIRST_DOORBELL + self.number as u32 % DOORBELLS;
        let doorbell = CapData::notification(1 << bit);
        let send = CapRights::WRITE;
        program.give(
            memory,
            slot::DOORBELL,
            net.notification.whole,
            send,
            doorbell,
        )
    }

    /// The process, until it ends.
    pub fn process(&self) -> Option<usize> {
        self.process
    }

    fn add_chunk(
        &mut self,
        memory: &mut Memory,
        program: &mut Process,
        net: &mut Process,
        chunk: usize,
    ) -> Result<()> {
        let frame = memory.large_frame()?;
        self.chunks[chunk] = Some(frame);
        let offset = SLOTS_OFFSET + chunk * CHUNK_SIZE;
        let both = CapRights::READ_WRITE;
        program
            .space
            .borrow_large(memory, frame, process::NET_CHANNEL + offset, both)?;
        net.space
            .borrow_large(memory, frame, channel_base(self.number) + offset, both)
    }

    /// Gives back everything. The process has ended, or never knew of it.
    fn end(self, memory: &mut Memory, net: &mut Process) -> Result<()> {
        let at = channel_base(self.number);
        net.space.withdraw(memory, at..at + CHANNEL_SIZE);
        memory.free(self.page);
        for frame in self.chunks.into_iter().flatten() {
            memory.free_large(frame);
        }
        self.watches.end(memory)
    }
}

impl System {
    /// NET_OPEN. Answers with an errno.
    pub fn net_open(&mut self, number: usize) -> u64 {
        let free = self.clients.iter().position(Option::is_none);
        let client = free.unwrap_or(self.clients.len());
        let Some(mut net) = self.processes.remove(&badge::NET_SERVER) else {
            return errno::ENOSYS;
        };
        let answer = match self.processes.get_mut(&number) {
            None => errno::EPERM,
            Some(program) if program.client.is_some() => errno::EINVAL,
            Some(_) if client >= MOST_CLIENTS => errno::EAGAIN,
            Some(program) => {
                let (memory, endpoint) = (&mut self.memory, self.net_endpoint);
                match Client::connect(memory, client, program, &mut net, endpoint) {
                    Err(_) => errno::ENOMEM,
                    Ok(made) => {
                        program.client = Some(client);
                        if client == self.clients.len() {
                            self.clients.push(None);
                        }
                        self.clients[client] = Some(made);
                        let open = &net.info().clients;
                        open.fetch_or(1 << client, Ordering::Release);
                        errno::OK
                    }
                }
            }
        };
        self.processes.insert(badge::NET_SERVER, net);
        answer
    }

    /// MAP_SOCKETS. Answers with an errno.
    pub fn map_sockets(&mut self, number: usize, client: u64, chunk: u64) -> u64 {
        if number != badge::NET_SERVER {
            return errno::EPERM;
        }
        let Some(Some(client)) = self.clients.get_mut(client as usize) else {
            return errno::EINVAL;
        };
        match client.chunks.get(chunk as usize) {
            None | Some(Some(_)) => return errno::EINVAL,
            Some(None) => {}
        }
        let Some(process) = client.process else {
            return errno::ESRCH;
        };
        let Some(mut net) = self.processes.remove(&badge::NET_SERVER) else {
            return errno::ENOSYS;
        };
        let answer = match self.processes.get_mut(&process) {
            None => errno::ESRCH,
            Some(program) => {
                let memory = &mut self.memory;
                match client.add_chunk(memory, program, &mut net, chunk as usize) {
                    Ok(()) => errno::OK,
                    Err(_) => errno::ENOMEM,
                }
            }
        };
        self.processes.insert(badge::NET_SERVER, net);
        answer
    }

    /// Tells the net server that a client's process has ended.
    pub fn client_ended(&mut self, client: usize) {
        if let Some(Some(client)) = self.clients.get_mut(client)
            && let Some(net) = self.processes.get(&badge::NET_SERVER)
        {
            client.process = None;
            // SAFETY: the view of the control page is mapped while the client lives; the page consists of atomics.
            let control = unsafe { &*(client.control as *const Control) };
            control.client_ended.store(1, Ordering::Release);
            signal(net.notification.whole);
        }
    }

    /// CLIENT_GONE. Answers with an errno.
    pub fn client_gone(&mut self, number: usize, client: u64) -> u64 {
        if number != badge::NET_SERVER {
            return errno::EPERM;
        }
        let slot = match self.clients.get_mut(client as usize) {
            Some(slot) if slot.as_ref().is_some_and(|c| c.process.is_none()) => slot,
            _ => return errno::EINVAL,
        };
        let Some(net) = self.processes.get_mut(&badge::NET_SERVER) else {
            return errno::ENOSYS;
        };
        net.info()
            .clients
            .fetch_and(!(1 << client), Ordering::Release);
        match slot.take().map(|client| client.end(&mut self.memory, net)) {
            Some(Err(_)) => errno::ENOMEM,
            _ => errno::OK,
        }
    }
}
