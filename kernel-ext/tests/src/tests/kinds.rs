// SPDX-License-Identifier: BSD-2-Clause
//! Every kind of capability that this kernel has, with every set of rights that
//! makes a difference to a queue.

use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};

use sel4_bindings::{
    CPtr, CapRights, MessageInfo, ObjectType, Word, call, cnode_save_caller,
    irq_control_get_ioapic, recv,
};

use crate::CHILD_PRIORITY;
use crate::child::{self, Child};
use crate::world::{DEPTH, World};

/// What a capability is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Empty,
    Untyped,
    DeviceUntyped,
    Endpoint,
    Notification,
    NotificationBadged,
    NotificationSendOnly,
    NotificationWithoutRights,
    Queue,
    QueueWaitOnly,
    QueueManageOnly,
    QueueWithoutRights,
    Reply,
    CNode,
    Tcb,
    IrqControl,
    IrqHandler,
    Frame,
    FrameReadOnly,
    FrameWriteOnly,
    FrameWithoutRights,
    LargeFrame,
    LargeFrameReadOnly,
    DeviceFrame,
    PageTable,
    PageDirectory,
    Pdpt,
    Pml4,
    AsidControl,
    AsidPool,
    IoPort,
    Domain,
}

impl Kind {
    pub(super) const ALL: [Kind; 32] = [
        Kind::Empty,
        Kind::Untyped,
        Kind::DeviceUntyped,
        Kind::Endpoint,
        Kind::Notification,
        Kind::NotificationBadged,
        Kind::NotificationSendOnly,
        Kind::NotificationWithoutRights,
        Kind::Queue,
        Kind::QueueWaitOnly,
        Kind::QueueManageOnly,
        Kind::QueueWithoutRights,
        Kind::Reply,
        Kind::CNode,
        Kind::Tcb,
        Kind::IrqControl,
        Kind::IrqHandler,
        Kind::Frame,
        Kind::FrameReadOnly,
        Kind::FrameWriteOnly,
        Kind::FrameWithoutRights,
        Kind::LargeFrame,
        Kind::LargeFrameReadOnly,
        Kind::DeviceFrame,
        Kind::PageTable,
        Kind::PageDirectory,
        Kind::Pdpt,
        Kind::Pml4,
        Kind::AsidControl,
        Kind::AsidPool,
        Kind::IoPort,
        Kind::Domain,
    ];

    /// The word beside its name that tells the rights.
    fn rights(self) -> Option<CapRights> {
        match self {
            Kind::NotificationSendOnly | Kind::QueueManageOnly | Kind::FrameWriteOnly => {
                Some(CapRights::WRITE)
            }
            Kind::QueueWaitOnly | Kind::FrameReadOnly | Kind::LargeFrameReadOnly => {
                Some(CapRights::READ)
            }
            Kind::NotificationWithoutRights
            | Kind::QueueWithoutRights
            | Kind::FrameWithoutRights => Some(CapRights::NONE),
            _ => None,
        }
    }

    /// The object that one of this kind is made as, if it is made by retyping.
    fn object(self) -> Option<ObjectType> {
        Some(match self {
            Kind::Endpoint => ObjectType::Endpoint,
            Kind::Notification
            | Kind::NotificationBadged
            | Kind::NotificationSendOnly
            | Kind::NotificationWithoutRights => ObjectType::Notification,
            Kind::Queue
            | Kind::QueueWaitOnly
            | Kind::QueueManageOnly
            | Kind::QueueWithoutRights => ObjectType::NotificationQueue,
            Kind::Tcb => ObjectType::Tcb,
            Kind::Frame | Kind::FrameReadOnly | Kind::FrameWriteOnly | Kind::FrameWithoutRights => {
                ObjectType::Frame
            }
            Kind::LargeFrame | Kind::LargeFrameReadOnly => ObjectType::LargeFrame,
            Kind::PageTable => ObjectType::PageTable,
            Kind::PageDirectory => ObjectType::PageDirectory,
            Kind::Pdpt => ObjectType::Pdpt,
            Kind::Pml4 => ObjectType::Pml4,
            _ => return None,
        })
    }

    /// A fresh one.
    fn make(self, world: &mut World) -> CPtr {
        match (self.object(), self.rights()) {
            (Some(object), None) if self == Kind::NotificationBadged => {
                let original = world.make(object);
                return world.mint(original, CapRights::ALL, 0x77);
            }
            (Some(object), None) => return world.make(object),
            (Some(object), Some(rights)) => {
                let original = world.make(object);
                return world.copy(original, rights);
            }
            (None, _) => {}
        }
        match self {
            Kind::Untyped => world.untyped(6),
            Kind::DeviceUntyped => world.device_memory(),
            Kind::CNode => world.cnode(2),
            Kind::IrqControl => CPtr::IRQ_CONTROL,
            Kind::IrqHandler => irq_handler(world),
            Kind::DeviceFrame => world.device_frame(),
            Kind::AsidControl => CPtr::ASID_CONTROL,
            Kind::AsidPool => CPtr::INIT_ASID_POOL,
            Kind::IoPort => CPtr::IO_PORT,
            Kind::Domain => CPtr::DOMAIN,
            _ => world.slots(1),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One capability of each kind. Made once: there is one interrupt handler for an
/// interrupt, and one thread that waits for a reply.
pub(super) struct Zoo {
    caps: [CPtr; Kind::ALL.len()],
    /// It made a call, whose reply capability is here.
    caller: Child,
}

impl Zoo {
    pub(super) fn new(world: &mut World) -> Zoo {
        let mut caps = Kind::ALL.map(|kind| kind.make(world));
        let endpoint = world.make(ObjectType::Endpoint);
        let caller = Child::new(world, 3, CHILD_PRIORITY, CPtr::NULL);
        caller.run(call_once, endpoint);
        recv(endpoint);
        let slot = caps[Kind::Reply as usize];
        cnode_save_caller(CPtr::INIT_CNODE, slot.index(), DEPTH).expect("no reply capability");
        caps[Kind::Reply as usize] = slot;
        Zoo { caps, caller }
    }

    pub(super) fn cap(&self, kind: Kind) -> CPtr {
        self.caps[kind as usize]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Kind, CPtr)> {
        Kind::ALL.into_iter().zip(self.caps)
    }

    /// Whether the thread that waits for a reply got one.
    pub(super) fn caller_is_answered(&self) -> bool {
        self.caller.is_parked()
    }
}

/// Code of a child: calls its source, and stops once it is answered.
extern "C" fn call_once(index: usize) -> ! {
    call(child::source(index), MessageInfo::new(0, 0, 0), [0; 4]);
    child::park(index)
}

/// A handler for an interrupt that never comes.
fn irq_handler(world: &mut World) -> CPtr {
    const PIN: Word = 5;
    const VECTOR: Word = 20;
    static HANDLER: AtomicUsize = AtomicUsize::new(0);
    let made = CPtr(HANDLER.load(Ordering::Relaxed));
    if made != CPtr::NULL {
        return made;
    }
    let slot = world.slots(1);
    HANDLER.store(slot.0, Ordering::Relaxed);
    let (root, depth) = (CPtr::INIT_CNODE, DEPTH.into());
    irq_control_get_ioapic(
        CPtr::IRQ_CONTROL,
        root,
        slot.index(),
        depth,
        0,
        PIN,
        0,
        0,
        VECTOR,
    )
    .expect("no handler for an unused interrupt");
    slot
}
