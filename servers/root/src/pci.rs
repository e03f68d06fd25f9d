// SPDX-License-Identifier: BSD-2-Clause
//! The PCI bus: finds the network card and its registers.

use alloc::vec::Vec;

use sel4_bindings::{CPtr, CapData, x86_io_port_in32, x86_io_port_out32};

const ADDRESS: u16 = 0xcf8;
const DATA: u16 = 0xcfc;
/// The configuration ports, as data for minting a port capability: first and last port.
pub const PORTS: CapData = CapData(0xcf8 << 16 | 0xcff);

const VIRTIO: u32 = 0x1af4;
/// Transitional and modern network cards.
const VIRTIO_NET: [u32; 2] = [0x1000, 0x1041];

// Configuration registers.
const ID: u8 = 0x00;
const COMMAND: u8 = 0x04;
const HEADER: u8 = 0x0c;
const FIRST_BAR: u8 = 0x10;
const BARS: u8 = 6;
const MEMORY_SPACE: u32 = 1 << 1;
const BUS_MASTER: u32 = 1 << 2;

/// A function of a device on bus 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Device.
    pub device: u32,
    /// Function.
    pub function: u32,
}

/// Memory that a device's registers take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Physical address.
    pub address: u64,
    /// Bytes.
    pub len: u64,
}

impl Function {
    /// The first virtio network card.
    pub fn network_card() -> Option<Function> {
        (0..32)
            .flat_map(|device| (0..8).map(move |function| Function { device, function }))
            .filter(|f| f.function == 0 || f.sibling(0).is_multifunction())
            .find(|f| {
                let id = f.read(ID);
                id & 0xffff == VIRTIO && VIRTIO_NET.contains(&(id >> 16))
            })
    }

    fn sibling(self, function: u32) -> Function {
        Function { function, ..self }
    }

    fn is_multifunction(self) -> bool {
        self.read(ID) != u32::MAX && self.read(HEADER) & 1 << 23 != 0
    }

    /// As the process information page has it.
    pub fn number(self) -> u32 {
        self.device << 8 | self.function
    }

    /// Lets the device answer at its memory addresses and reach memory itself; the BIOS leaves the latter off.
    pub fn enable(self) {
        self.write(COMMAND, self.read(COMMAND) | MEMORY_SPACE | BUS_MASTER);
    }

    /// Where its registers lie in memory.
    pub fn regions(self) -> Vec<Region> {
        let command = self.read(COMMAND);
        // While the registers are probed the device must not answer at the addresses that are written.
        self.write(COMMAND, command & !3);
        let mut regions = Vec::new();
        let mut bar = 0;
        while bar < BARS {
            let register = FIRST_BAR + bar * 4;
            let low = self.read(register);
            let wide = low & 7 == 4 && bar + 1 < BARS;
            let high = if wide { self.read(register + 4) } else { 0 };
            let mut size = self.probe(register) as u64;
            size |= match wide {
                true => (self.probe(register + 4) as u64) << 32,
                false => 0xffff_ffff << 32,
            };
            let is_memory = low & 1 == 0;
            let size = size & !15;
            if is_memory && size & 0xffff_fff0 != 0 {
                regions.push(Region {
                    address: (high as u64) << 32 | (low & !15) as u64,
                    len: size.wrapping_neg(),
                });
            }
            bar += 1 + wide as u8;
        }
        self.write(COMMAND, command);
        regions
    }

    /// The writable bits of a register.
    fn probe(self, register: u8) -> u32 {
        let value = self.read(register);
        self.write(register, u32::MAX);
        let mask = self.read(register);
        self.write(register, value);
        mask
    }

    // As in serial.rs: failure would mean that the root task lost its port capability.
    fn read(self, register: u8) -> u32 {
        self.select(register);
        x86_io_port_in32(CPtr::IO_PORT, DATA).unwrap_or(u32::MAX)
    }

    fn write(self, register: u8, value: u32) {
        self.select(register);
        let _ = x86_io_port_out32(CPtr::IO_PORT, DATA as u64, value as u64);
    }

    fn select(self, register: u8) {
        let address = 1 << 31 | self.device << 11 | self.function << 8 | (register & !3) as u32;
        let _ = x86_io_port_out32(CPtr::IO_PORT, ADDRESS as u64, address as u64);
    }
}
