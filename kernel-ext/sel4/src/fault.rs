// SPDX-License-Identifier: BSD-2-Clause
//! What a fault message says.

use crate::{Message, Word};

/// Why a thread stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It used a capability that is not there.
    Capability {
        /// Address of the instruction.
        rip: Word,
        /// The capability's address.
        address: Word,
        /// While receiving rather than sending.
        receiving: bool,
    },
    /// A system call that seL4 does not have.
    UnknownSyscall {
        /// Address of the instruction.
        rip: Word,
        /// Its stack.
        rsp: Word,
        /// Number in rax.
        rax: Word,
    },
    /// A processor exception other than a page fault.
    Exception {
        /// Address of the instruction.
        rip: Word,
        /// Its stack.
        rsp: Word,
        /// Vector: 0 division, 3 breakpoint, 6 invalid instruction, 13 protection, 16 and 19 floating point…
        number: Word,
        /// The processor's error code.
        code: Word,
    },
    /// A page fault.
    Page {
        /// Address of the instruction.
        rip: Word,
        /// The address that was accessed.
        address: Word,
        /// It was fetching an instruction.
        fetch: bool,
        /// The processor's error code: bit 0 set if the page is mapped, bit 1 if it was a write.
        code: Word,
    },
}

// seL4_FaultType, as message labels.
const CAP_FAULT: Word = 1;
const UNKNOWN_SYSCALL: Word = 2;
const USER_EXCEPTION: Word = 3;
const VM_FAULT: Word = 5;

impl Fault {
    /// Reads a message that came from a fault endpoint. `None`: not a fault of seL4 5.0.0.
    pub fn of(message: &Message) -> Option<Fault> {
        let word = |i| message.word(i);
        Some(match message.info.label() {
            CAP_FAULT => Fault::Capability {
                rip: word(0),
                address: word(1),
                receiving: word(2) != 0,
            },
            UNKNOWN_SYSCALL => Fault::UnknownSyscall {
                rax: word(0),
                rip: word(15),
                rsp: word(16),
            },
            USER_EXCEPTION => Fault::Exception {
                rip: word(0),
                rsp: word(1),
                number: word(3),
                code: word(4),
            },
            VM_FAULT => Fault::Page {
                rip: word(0),
                address: word(1),
                fetch: word(2) != 0,
                code: word(3),
            },
            _ => return None,
        })
    }

    /// Address of the instruction that faulted.
    pub fn rip(&self) -> Word {
        match *self {
            Fault::Capability { rip, .. }
            | Fault::UnknownSyscall { rip, .. }
            | Fault::Exception { rip, .. }
            | Fault::Page { rip, .. } => rip,
        }
    }
}
