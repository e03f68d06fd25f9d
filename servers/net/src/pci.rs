// SPDX-License-Identifier: BSD-2-Clause
//! The card's configuration space, and its registers where the root server mapped them.

use sel4_bindings::{CPtr, x86_io_port_in32, x86_io_port_out32};
use vfs_hooks::process::{ProcessInfo, slot};
use virtio_drivers::transport::pci::bus::{BarInfo, ConfigurationAccess, DeviceFunction, PciRoot};

const ADDRESS: u16 = 0xcf8;
const DATA: u16 = 0xcfc;
const VENDOR: u8 = 0x09;
const MSI_X: u8 = 0x11;
const MSI_X_ENABLE: u32 = 1 << 31;
/// Where the interrupt message goes: the first processor's local APIC.
const LOCAL_APIC: u32 = 0xfee0_0000;
/// First vector that seL4 hands out.
const FIRST_VECTOR: u32 = 0x30;

/// The configuration ports.
#[derive(Debug)]
pub struct Ports;

fn select(function: DeviceFunction, register: u8) {
    let address = 1 << 31
        | u32::from(function.bus) << 16
        | u32::from(function.device) << 11
        | u32::from(function.function) << 8
        | u32::from(register & !3);
    // Fails only without the cap; then the data port reads as all ones, which is what an empty slot reads as.
    let _ = x86_io_port_out32(CPtr(slot::PCI_PORTS), ADDRESS.into(), address.into());
}

impl ConfigurationAccess for Ports {
    fn read_word(&self, function: DeviceFunction, register: u8) -> u32 {
        select(function, register);
        x86_io_port_in32(CPtr(slot::PCI_PORTS), DATA).unwrap_or(u32::MAX)
    }

    fn write_word(&mut self, function: DeviceFunction, register: u8, word: u32) {
        select(function, register);
        let _ = x86_io_port_out32(CPtr(slot::PCI_PORTS), DATA.into(), word.into());
    }

    unsafe fn unsafe_clone(&self) -> Ports {
        Ports
    }
}

/// A virtio structure in one of the card's regions.
#[derive(Clone, Copy, Debug)]
pub struct Structure {
    /// Where it is mapped.
    pub address: usize,
    /// Offset of its capability in the configuration space.
    pub capability: u8,
}

/// Where the root server mapped `len` bytes of registers at physical `address`. `None`: it did not.
pub fn mapped(info: &ProcessInfo, address: u64, len: u64) -> Option<usize> {
    info.mmio.iter().find_map(|[physical, va, size]| {
        let offset = address.checked_sub(*physical)?;
        (offset.checked_add(len)? <= *size).then_some((va + offset) as usize)
    })
}

/// Physical address of byte `offset` of region `bar`.
fn region(root: &mut PciRoot<Ports>, card: DeviceFunction, bar: u8, offset: u32) -> Option<u64> {
    match root.bar_info(card, bar).ok()?? {
        BarInfo::Memory { address, .. } => Some(address + u64::from(offset)),
        BarInfo::IO { .. } => None,
    }
}

/// Finds the virtio structure of type `kind` (1: common configuration, 2: notifications).
pub fn structure(
    root: &mut PciRoot<Ports>,
    card: DeviceFunction,
    info: &ProcessInfo,
    kind: u8,
) -> Option<Structure> {
    let capability = root
        .capabilities(card)
        .find(|c| c.id == VENDOR && (c.private_header >> 8) as u8 == kind)?
        .offset;
    let bar = Ports.read_word(card, capability + 4) as u8;
    let offset = Ports.read_word(card, capability + 8);
    let len = Ports.read_word(card, capability + 12);
    let physical = region(root, card, bar, offset)?;
    Some(Structure {
        address: mapped(info, physical, len.into())?,
        capability,
    })
}

/// Bytes between the notification addresses of two queues.
pub fn notify_multiplier(card: DeviceFunction, structure: &Structure) -> u32 {
    Ports.read_word(card, structure.capability + 16)
}

/// Lets entry 0 of the card's interrupt table send our vector, and turns the table on. `None`: it has none, or it is not mapped.
pub fn enable_interrupt(
    root: &mut PciRoot<Ports>,
    card: DeviceFunction,
    info: &ProcessInfo,
) -> Option<()> {
    let capability = root.capabilities(card).find(|c| c.id == MSI_X)?.offset;
    let place = Ports.read_word(card, capability + 4);
    let physical = region(root, card, (place & 7) as u8, place & !7)?;
    let table = mapped(info, physical, 16)? as *mut u32;
    let entry = [LOCAL_APIC, 0, info.msi_vector + FIRST_VECTOR, 0];
    for (i, word) in entry.into_iter().enumerate() {
        // SAFETY: the first entry, 16 bytes, was found mapped.
        unsafe { table.add(i).write_volatile(word) };
    }
    let control = Ports.read_word(card, capability);
    Ports.write_word(card, capability, control | MSI_X_ENABLE);
    Some(())
}
