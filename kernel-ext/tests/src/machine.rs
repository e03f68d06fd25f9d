// SPDX-License-Identifier: BSD-2-Clause
//! The serial line, by I/O ports (a release kernel prints nothing), and the end
//! of the run.

use core::fmt::{self, Write};
use core::panic::PanicInfo;

use sel4_bindings::{CPtr, x86_io_port_in8, x86_io_port_out8, yield_};

const COM1: u16 = 0x3f8;
const LINE_STATUS: u16 = COM1 + 5;
const HOLDING_REGISTER_EMPTY: u8 = 0x20;
const TRANSMITTER_EMPTY: u8 = 0x40;
/// QEMU's isa-debug-exit: it exits with twice the value plus one.
const DEBUG_EXIT: u16 = 0xf4;

/// Exit status of a run that ended before its end.
pub const BAILED_OUT: u8 = 2;

/// The serial line.
pub struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(put);
        Ok(())
    }
}

fn put(byte: u8) {
    // Errors mean that the port capability is gone: nothing can be said then.
    wait_for(HOLDING_REGISTER_EMPTY);
    let _ = x86_io_port_out8(CPtr::IO_PORT, COM1.into(), byte.into());
}

fn wait_for(status: u8) {
    while x86_io_port_in8(CPtr::IO_PORT, LINE_STATUS).is_ok_and(|s| s & status == 0) {}
}

/// Prints a line on the serial line.
#[macro_export]
macro_rules! line {
    ($($arg:tt)*) => {{
        use core::fmt::Write as _;
        // The console never fails.
        let _ = core::writeln!($crate::machine::Console, $($arg)*);
    }};
}

/// Writes to an I/O port.
pub fn out(port: u16, value: u8) {
    if x86_io_port_out8(CPtr::IO_PORT, port.into(), value.into()).is_err() {
        panic!("no access to I/O port {port:#x}");
    }
}

/// Ends the run.
pub fn exit(status: u8) -> ! {
    // QEMU ends at once: what it still holds of the last line would be lost.
    wait_for(TRANSMITTER_EMPTY);
    let _ = x86_io_port_out8(CPtr::IO_PORT, DEBUG_EXIT.into(), status.into());
    // QEMU has no such device: stop here.
    loop {
        yield_();
    }
}

/// For `guest_rt::set_panic_hook`: says why, in TAP, and ends the run.
pub fn bail_out(info: &PanicInfo) {
    line!("Bail out! {info}");
    exit(BAILED_OUT);
}
