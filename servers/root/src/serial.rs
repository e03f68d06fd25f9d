// SPDX-License-Identifier: BSD-2-Clause
//! The two serial lines: COM1 is the program's console, COM2 the system's log and control.

use core::fmt::{self, Write};

use sel4_bindings::{CPtr, tcb_suspend, x86_io_port_in8, x86_io_port_out8};

/// A serial line, by its first port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line(u16);

/// The program's console.
pub const CONSOLE: Line = Line(0x3f8);
/// Log and control.
pub const CONTROL: Line = Line(0x2f8);

// Registers of a 16550.
const DATA: u16 = 0;
const INTERRUPTS: u16 = 1;
const FIFO: u16 = 2;
const FORMAT: u16 = 3;
const MODEM: u16 = 4;
const STATUS: u16 = 5;
const RECEIVED: u8 = 1 << 0;
const FIFO_EMPTY: u8 = 1 << 5;
const ALL_SENT: u8 = 1 << 6;
/// Bytes that the transmit FIFO takes once it is empty.
const FIFO_SIZE: usize = 16;

impl Line {
    /// 115,200 baud, 8 bits, FIFO on, interrupt at every byte received. Returns the byte that was there already: switching
    /// the FIFO on would lose it.
    pub fn init(self) -> Option<u8> {
        self.write(INTERRUPTS, 0);
        self.write(FORMAT, 0x80);
        self.write(DATA, 1);
        self.write(INTERRUPTS, 0);
        self.write(FORMAT, 3);
        let early = self.receive();
        self.write(FIFO, 1);
        self.write(MODEM, 0xb);
        self.write(INTERRUPTS, 1);
        early
    }

    /// Sends bytes as they are.
    pub fn send(self, bytes: &[u8]) {
        for part in bytes.chunks(FIFO_SIZE) {
            while self.read(STATUS) & FIFO_EMPTY == 0 {}
            for byte in part {
                self.write(DATA, *byte);
            }
        }
    }

    /// A byte that was received.
    pub fn receive(self) -> Option<u8> {
        (self.read(STATUS) & RECEIVED != 0).then(|| self.read(DATA))
    }

    /// Waits until everything has left the machine.
    pub fn flush(self) {
        while self.read(STATUS) & ALL_SENT == 0 {}
    }

    // A failure can only mean that the root task's port capability is gone: nothing could be reported either.
    fn read(self, register: u16) -> u8 {
        x86_io_port_in8(CPtr::IO_PORT, self.0 + register).unwrap_or(0xff)
    }

    fn write(self, register: u16, value: u8) {
        let port = self.0 + register;
        let _ = x86_io_port_out8(CPtr::IO_PORT, port as u64, value as u64);
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.send(text.as_bytes());
        Ok(())
    }
}

/// A line of the system log.
#[macro_export]
macro_rules! log {
    ($($arguments:tt)*) => {{
        use core::fmt::Write;
        let mut line = $crate::serial::CONTROL;
        let _ = writeln!(line, $($arguments)*);
    }};
}

/// A line that a process wrote: control characters would let it forge others.
pub fn log_untrusted(prefix: fmt::Arguments, bytes: &[u8]) {
    let mut line = CONTROL;
    let _ = line.write_fmt(prefix);
    for part in bytes.utf8_chunks() {
        for c in part.valid().chars() {
            let _ = line.write_char(if c.is_control() { '?' } else { c });
        }
        if !part.invalid().is_empty() {
            let _ = line.write_char('?');
        }
    }
    line.send(b"\n");
}

/// Ends the machine: tells the driver the status and leaves QEMU.
pub fn exit(status: u8) -> ! {
    log!("@exit {status}");
    CONSOLE.flush();
    CONTROL.flush();
    let _ = x86_io_port_out8(CPtr::IO_PORT, 0xf4, 0);
    // Until QEMU has stopped; for ever without its isa-debug-exit device.
    loop {
        let _ = tcb_suspend(CPtr::INIT_TCB);
    }
}
