// SPDX-License-Identifier: BSD-2-Clause
//! Capability pointers, rights, badges, errors, register sets.

use crate::Word;

/// Address of a capability in the caller's CSpace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct CPtr(pub usize);

impl CPtr {
    /// No capability.
    pub const NULL: CPtr = CPtr(0);
    /// The root task's thread.
    pub const INIT_TCB: CPtr = CPtr(1);
    /// The root task's CNode.
    pub const INIT_CNODE: CPtr = CPtr(2);
    /// The root task's address space.
    pub const INIT_VSPACE: CPtr = CPtr(3);
    /// Issues interrupt handlers.
    pub const IRQ_CONTROL: CPtr = CPtr(4);
    /// Makes ASID pools.
    pub const ASID_CONTROL: CPtr = CPtr(5);
    /// The first ASID pool.
    pub const INIT_ASID_POOL: CPtr = CPtr(6);
    /// All I/O ports.
    pub const IO_PORT: CPtr = CPtr(7);
    /// Frame of the boot information.
    pub const BOOT_INFO_FRAME: CPtr = CPtr(9);
    /// Frame of the root task's message buffer.
    pub const INIT_IPC_BUFFER: CPtr = CPtr(10);
    /// Scheduling domains.
    pub const DOMAIN: CPtr = CPtr(11);

    /// The capability's slot, as an index.
    pub const fn index(self) -> Word {
        self.0 as Word
    }
}

impl From<usize> for CPtr {
    fn from(slot: usize) -> CPtr {
        CPtr(slot)
    }
}

/// Why the kernel refused (`seL4_Error`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Error {
    /// An argument has a value that the method refuses.
    InvalidArgument = 1,
    /// A capability given as an argument is of the wrong kind.
    InvalidCapability = 2,
    /// The object has no such method, or not in this state.
    IllegalOperation = 3,
    /// A number is out of range.
    RangeError = 4,
    /// An address is not aligned.
    AlignmentError = 5,
    /// A capability or a page table was not found.
    FailedLookup = 6,
    /// Too few arguments, or the message buffer is missing.
    TruncatedMessage = 7,
    /// The slot or address is in use.
    DeleteFirst = 8,
    /// The object has derived capabilities.
    RevokeFirst = 9,
    /// The untyped memory or the buffer is too small.
    NotEnoughMemory = 10,
    /// A number that seL4 5.0.0 does not have.
    Unknown = 11,
}

// `seL4_NumErrors` of 5.0.0 is 11: every error above but the last.
const _: () = assert!(Error::Unknown as u32 == 11 && Error::NotEnoughMemory as u32 == 10);
const _: () = assert!(Error::InvalidArgument as u32 == 1 && Error::FailedLookup as u32 == 6);

impl Error {
    /// From the label of a reply; `None` is success.
    #[inline]
    pub fn from_label(label: Word) -> Option<Error> {
        Some(match label {
            0 => return None,
            1 => Error::InvalidArgument,
            2 => Error::InvalidCapability,
            3 => Error::IllegalOperation,
            4 => Error::RangeError,
            5 => Error::AlignmentError,
            6 => Error::FailedLookup,
            7 => Error::TruncatedMessage,
            8 => Error::DeleteFirst,
            9 => Error::RevokeFirst,
            10 => Error::NotEnoughMemory,
            _ => Error::Unknown,
        })
    }
}

/// What a capability lets its holder do (`seL4_CapRights_t`). For a notification queue *read* means wait and
/// *write* means manage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapRights(Word);

impl CapRights {
    /// Nothing.
    pub const NONE: CapRights = CapRights(0);
    /// Send, write.
    pub const WRITE: CapRights = CapRights(1);
    /// Receive, read.
    pub const READ: CapRights = CapRights(2);
    /// Both.
    pub const READ_WRITE: CapRights = CapRights(3);
    /// Both, and capabilities may be sent.
    pub const ALL: CapRights = CapRights(7);

    /// From its three parts.
    pub const fn new(grant: bool, read: bool, write: bool) -> CapRights {
        CapRights((grant as Word) << 2 | (read as Word) << 1 | write as Word)
    }

    pub(crate) const fn word(self) -> Word {
        self.0
    }
}

/// Badge or guard that a capability is minted with (`seL4_CapData_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapData(pub Word);

impl CapData {
    /// Neither.
    pub const NONE: CapData = CapData(0);

    /// Badge of a notification: any 64 bits.
    pub const fn notification(badge: Word) -> CapData {
        CapData(badge)
    }

    /// Badge of an endpoint.
    pub const fn endpoint(badge: EndpointBadge) -> CapData {
        CapData(badge.0 as Word)
    }

    /// Guard of a CNode: `bits` bits of the address must equal `value`. `None`: more than 18 bits of
    /// value or more than 63 of guard.
    pub const fn guard(value: Word, bits: u32) -> Option<CapData> {
        if value >= 1 << 18 || bits > 63 {
            return None;
        }
        Some(CapData(value << 8 | (bits as Word) << 2))
    }

    pub(crate) const fn word(self) -> Word {
        self.0
    }
}

/// Badge of an endpoint: 28 bits. A debug kernel stops at a larger one, a release kernel takes it for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointBadge(u32);

impl EndpointBadge {
    /// `None`: more than 28 bits.
    pub const fn new(badge: Word) -> Option<EndpointBadge> {
        if badge < 1 << 28 {
            Some(EndpointBadge(badge as u32))
        } else {
            None
        }
    }
}

/// Priority of a thread, and the highest that it may give to others (`seL4_PrioProps_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrioProps {
    /// Its own.
    pub priority: u8,
    /// The highest that it may set.
    pub max_controlled: u8,
}

impl PrioProps {
    pub(crate) const fn word(self) -> Word {
        (self.max_controlled as Word) << 8 | self.priority as Word
    }
}

/// How a page is cached (`seL4_X86_VMAttributes`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VmAttributes(Word);

impl VmAttributes {
    /// Memory.
    pub const WRITE_BACK: VmAttributes = VmAttributes(0);
    /// Device registers.
    pub const UNCACHEABLE: VmAttributes = VmAttributes(3);

    pub(crate) const fn word(self) -> Word {
        self.0
    }
}

/// Registers of a thread, in the order of the interface (`seL4_UserContext`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
#[allow(missing_docs, reason = "they are the processor's names")]
pub struct UserContext {
    pub rip: Word,
    pub rsp: Word,
    pub rflags: Word,
    pub rax: Word,
    pub rbx: Word,
    pub rcx: Word,
    pub rdx: Word,
    pub rsi: Word,
    pub rdi: Word,
    pub rbp: Word,
    pub r8: Word,
    pub r9: Word,
    pub r10: Word,
    pub r11: Word,
    pub r12: Word,
    pub r13: Word,
    pub r14: Word,
    pub r15: Word,
    pub tls_base: Word,
}

impl UserContext {
    /// How many registers there are: what `tcb_read_registers` and `tcb_write_registers` want as `count`.
    pub const COUNT: Word = 19;

    pub(crate) fn words(&self) -> &[Word; Self::COUNT as usize] {
        // SAFETY: `repr(C)` with 19 fields of one type has the layout of an array of 19.
        unsafe { &*(self as *const UserContext).cast() }
    }

    pub(crate) fn from_words(words: [Word; Self::COUNT as usize]) -> UserContext {
        // SAFETY: as above; every bit pattern is valid.
        unsafe { core::mem::transmute(words) }
    }
}
