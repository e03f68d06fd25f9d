// SPDX-License-Identifier: BSD-2-Clause
//! The interval timer of a PC, for its interrupts.

use core::sync::atomic::{AtomicUsize, Ordering};

use sel4_bindings::{
    CPtr, ObjectType, Word, irq_control_get_ioapic, irq_handler_ack, irq_handler_set_notification,
};

use crate::machine::out;
use crate::queue::take;
use crate::world::{DEPTH, World};

/// Ticks in a second.
pub const FREQUENCY: u64 = 1_193_182;

/// Its ports, and the pin of its interrupt on the IOAPIC.
const COUNTER_0: u16 = 0x40;
const COMMAND: u16 = 0x43;
const PIN: Word = 2;
/// Counter 0, both bytes: periodic, and one shot.
const PERIODIC: u8 = 0x34;
const ONE_SHOT: u8 = 0x30;

/// Interrupts from now on, every `interval` ticks.
pub fn start(interval: u16) {
    out(COMMAND, PERIODIC);
    let [low, high] = interval.to_le_bytes();
    out(COUNTER_0, low);
    out(COUNTER_0, high);
}

/// None any more, but perhaps one that is pending.
pub fn stop() {
    // A one-shot counter that is given no value never ends.
    out(COMMAND, ONE_SHOT);
}

/// The interrupt's handler, and the notification that it signals: idle, with the
/// timer stopped. There is one handler to an interrupt, so all take it from here.
pub fn timer(world: &mut World) -> (CPtr, CPtr) {
    static HANDLER: AtomicUsize = AtomicUsize::new(0);
    stop();
    let notification = world.make(ObjectType::Notification);
    let mut handler = CPtr(HANDLER.load(Ordering::Relaxed));
    if handler == CPtr::NULL {
        handler = world.slots(1);
        let root = CPtr::INIT_CNODE;
        let (slot, depth) = (handler.index(), DEPTH.into());
        irq_control_get_ioapic(CPtr::IRQ_CONTROL, root, slot, depth, 0, PIN, 0, 0, 0)
            .expect("no handler for the timer's interrupt");
        HANDLER.store(handler.0, Ordering::Relaxed);
    }
    irq_handler_set_notification(handler, notification).expect("no interrupt");
    // The firmware's last tick may still be pending: it comes once it is let.
    irq_handler_ack(handler).expect("acknowledge");
    take(notification);
    (handler, notification)
}
