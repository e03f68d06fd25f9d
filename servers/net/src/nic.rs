// SPDX-License-Identifier: BSD-2-Clause
//! The virtio network card.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering, fence};

use net_server::{Card, MAX_FRAME};
use vfs_hooks::process::{DMA, PAGE, ProcessInfo};
use virtio_drivers::device::net::VirtIONetRaw;
use virtio_drivers::transport::pci::PciTransport;
use virtio_drivers::transport::pci::bus::{DeviceFunction, PciRoot};
use virtio_drivers::{BufferDirection, Hal, PhysAddr};

use crate::pci::{self, Ports};
use crate::transport::{CardTransport, Kicks, Registers};

/// Entries of each of the card's queues.
const QUEUE: usize = 256;
/// Bytes of a frame's memory, the card's own header included.
const BUFFER: usize = PAGE / 2;
/// The card's header before each frame: 12 bytes, or 10 on an old card.
const HEADER: usize = 12;

const _: () = assert!(HEADER + MAX_FRAME <= BUFFER && BUFFER >= 1526);

/// Memory that the card can reach.
struct Dma;

/// Bytes of it that are taken. They are never given back: the card is set up once.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

impl Dma {
    fn pages(pages: usize) -> NonNull<u8> {
        let offset = TAKEN.fetch_add(pages * PAGE, Ordering::Relaxed);
        let len = guest_rt::root::info().dma_len as usize;
        assert!(
            offset + pages * PAGE <= len,
            "the network card needs more than the {len} bytes of memory that the root server gave it"
        );
        NonNull::new((DMA + offset) as *mut u8).expect("DMA does not lie at 0")
    }

    fn physical(address: NonNull<u8>) -> PhysAddr {
        let info = guest_rt::root::info();
        let offset = address.as_ptr() as usize - DMA;
        assert!((offset as u64) < info.dma_len);
        info.dma_physical + offset as u64
    }
}

// SAFETY: pages are mapped, zeroed by the root server, and handed out once; their physical addresses follow one another, so an
// offset into the one range is an offset into the other.
unsafe impl Hal for Dma {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let address = Dma::pages(pages);
        (Dma::physical(address), address)
    }

    unsafe fn dma_dealloc(_: PhysAddr, _: NonNull<u8>, _: usize) -> i32 {
        0
    }

    unsafe fn mmio_phys_to_virt(physical: PhysAddr, size: usize) -> NonNull<u8> {
        let address = pci::mapped(guest_rt::root::info(), physical, size as u64);
        let address = address.and_then(|address| NonNull::new(address as *mut u8));
        address.expect("the root server mapped all of the card's registers")
    }

    unsafe fn share(buffer: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        Dma::physical(buffer.cast())
    }

    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}

/// A received frame. Its memory is ours until it is recycled.
#[derive(Debug)]
pub struct Received {
    memory: NonNull<u8>,
    start: usize,
    len: usize,
}

impl AsRef<[u8]> for Received {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `receive` checked the range; the card does not write the buffer before `recycle`.
        unsafe { core::slice::from_raw_parts(self.memory.as_ptr().add(self.start), self.len) }
    }
}

/// The card.
pub struct Nic {
    raw: VirtIONetRaw<Dma, CardTransport, QUEUE>,
    kicks: Rc<Kicks>,
    /// Memory of the frame that the card may write or is reading, by the driver's token.
    receiving: [Option<NonNull<u8>>; QUEUE],
    sending: [Option<(NonNull<u8>, usize)>; QUEUE],
    free: Vec<NonNull<u8>>,
}

/// All bytes of a frame's memory.
///
/// # Safety
/// The memory must be one of `Dma::pages`' halves, and nobody, the card included, may use it during the borrow.
unsafe fn bytes<'a>(memory: NonNull<u8>, len: usize) -> &'a mut [u8] {
    assert!(len <= BUFFER);
    // SAFETY: by contract.
    unsafe { core::slice::from_raw_parts_mut(memory.as_ptr(), len) }
}

impl Nic {
    /// Sets up the card that the root server found.
    pub fn new(info: &ProcessInfo) -> Result<Nic, &'static str> {
        if info.nic == u32::MAX {
            return Err(
                "the machine has none; the system must be started with one or without network",
            );
        }
        let card = DeviceFunction {
            bus: (info.nic >> 16) as u8,
            device: (info.nic >> 8) as u8,
            function: info.nic as u8,
        };
        let mut root = PciRoot::new(Ports);
        let common = pci::structure(&mut root, card, info, 1)
            .ok_or("it has no modern virtio registers, or they are not mapped")?;
        let notify = pci::structure(&mut root, card, info, 2)
            .ok_or("its notification registers are not mapped")?;
        pci::enable_interrupt(&mut root, card, info)
            .ok_or("it has no MSI-X table, or it is not mapped")?;
        let registers = Registers {
            common: common.address,
            notify: notify.address,
            multiplier: pci::notify_multiplier(card, &notify),
        };
        let kicks = Rc::new(Kicks::default());
        let inner = PciTransport::new::<Dma, Ports>(&mut root, card)
            .map_err(|_| "virtio-drivers does not know it")?;
        // SAFETY: both were found among the registers of this card, which stay mapped.
        let transport = unsafe { CardTransport::new(inner, registers, kicks.clone()) };
        let raw = VirtIONetRaw::new(transport).map_err(|_| "it refuses to be set up")?;
        let mut nic = Nic {
            raw,
            kicks,
            receiving: [None; QUEUE],
            sending: [None; QUEUE],
            free: Vec::with_capacity(QUEUE),
        };
        let memory = Dma::pages(2 * QUEUE * BUFFER / PAGE);
        for index in 0..2 * QUEUE {
            // SAFETY: inside the pages that were just taken.
            let memory = unsafe { memory.add(index * BUFFER) };
            if index < QUEUE {
                nic.post(memory);
            } else {
                nic.free.push(memory);
            }
        }
        nic.raw.disable_interrupts();
        Ok(nic)
    }
    /// Gives memory to the card to receive a frame into.
    fn post(&mut self, memory: NonNull<u8>) {
        // SAFETY: the memory is ours alone: new, or returned by the card; it is not touched before `receive`.
        let token = unsafe { self.raw.receive_begin(bytes(memory, BUFFER)) };
        // The queue has an entry for every buffer that there is.
        if let Ok(token) = token {
            self.receiving[token as usize] = Some(memory);
        }
    }

    /// Takes back the memory of frames that the card has sent.
    fn reap(&mut self) {
        while let Some(token) = self.raw.poll_transmit() {
            let sent = self.sending.get_mut(token as usize).and_then(Option::take);
            let Some((memory, len)) = sent else {
                return;
            };
            // SAFETY: the memory and length that went with this token.
            let done = unsafe { self.raw.transmit_complete(token, bytes(memory, len)) };
            if done.is_err() {
                return;
            }
            self.free.push(memory);
        }
    }

    /// Whether a frame waits.
    pub fn has_frame(&self) -> bool {
        self.raw.poll_receive().is_some()
    }

    /// Tells the card of everything that is new for it.
    pub fn flush(&self) {
        self.kicks.flush();
    }

    /// Asks for an interrupt at the next frame. Look for one afterwards.
    pub fn enable_interrupts(&mut self) {
        self.raw.enable_interrupts();
        fence(Ordering::SeqCst);
    }

    /// Asks for none.
    pub fn disable_interrupts(&mut self) {
        self.raw.disable_interrupts();
    }
}

impl Card for Nic {
    type Buffer = Received;

    fn mac(&self) -> [u8; 6] {
        self.raw.mac_address()
    }

    fn receive(&mut self) -> Option<Received> {
        loop {
            let token = self.raw.poll_receive()?;
            let memory = self.receiving.get_mut(token as usize)?.take()?;
            // SAFETY: the memory that went with this token.
            let done = unsafe { self.raw.receive_complete(token, bytes(memory, BUFFER)) };
            match done {
                Ok((start, len)) if start + len <= BUFFER => {
                    return Some(Received { memory, start, len });
                }
                // Shorter than its own header, or longer than its buffer: not a frame.
                _ => self.post(memory),
            }
        }
    }

    fn recycle(&mut self, buffer: Received) {
        self.post(buffer.memory);
    }

    fn can_transmit(&mut self) -> bool {
        if self.free.is_empty() {
            self.flush();
            self.reap();
        }
        !self.free.is_empty()
    }

    fn transmit<R>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let memory = self.free.pop().expect("`can_transmit` said yes");
        // SAFETY: free memory is ours.
        let frame = unsafe { bytes(memory, HEADER + len) };
        // An old card's header is shorter; the frame then begins earlier.
        let header = self.raw.fill_buffer_header(frame).unwrap_or(HEADER);
        let result = fill(&mut frame[header..header + len]);
        // SAFETY: not touched again before `reap` has it back.
        match unsafe { self.raw.transmit_begin(&frame[..header + len]) } {
            Ok(token) => self.sending[token as usize] = Some((memory, header + len)),
            // The queue has an entry for every buffer that there is. The frame is lost, which TCP repairs.
            Err(_) => self.free.push(memory),
        }
        result
    }
}
