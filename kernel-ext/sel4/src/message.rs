// SPDX-License-Identifier: BSD-2-Clause
//! Messages: their info word, what is received, and the buffer for what does not fit in registers.

use core::arch::asm;

use crate::{CPtr, Word};

/// Words that a message can have.
pub const MAX_WORDS: usize = 120;
/// Words of a message that travel in registers.
pub const REGISTER_WORDS: usize = 4;
/// Capabilities that a message can carry.
pub const MAX_CAPS: usize = 3;

// Offsets in the message buffer (`seL4_IPCBuffer`).
const MSG: usize = 8;
const USER_DATA: usize = MSG + MAX_WORDS * 8;
const CAPS: usize = USER_DATA + 8;
const RECEIVE_CNODE: usize = CAPS + MAX_CAPS * 8;
const RECEIVE_INDEX: usize = RECEIVE_CNODE + 8;
const RECEIVE_DEPTH: usize = RECEIVE_INDEX + 8;
/// Bytes of the message buffer; it is aligned to as many.
pub const BUFFER_SIZE: usize = RECEIVE_DEPTH + 8;
const _: () = assert!(BUFFER_SIZE == 1024);

/// Label, number of words, number of capabilities (`seL4_MessageInfo_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct MessageInfo(pub Word);

impl MessageInfo {
    /// A message with `label`, `caps` capabilities and `length` words. Excess bits are cut off.
    #[inline]
    pub const fn new(label: Word, caps: usize, length: usize) -> MessageInfo {
        MessageInfo((label & 0xf_ffff) << 12 | (caps as Word & 3) << 7 | length as Word & 0x7f)
    }

    /// The label: a method, a request, a fault, an error.
    #[inline]
    pub const fn label(self) -> Word {
        self.0 >> 12 & 0xf_ffff
    }

    /// Number of words. The kernel delivers at most [`MAX_WORDS`].
    #[inline]
    pub const fn length(self) -> usize {
        (self.0 & 0x7f) as usize
    }

    /// Number of capabilities sent along.
    #[inline]
    pub const fn caps(self) -> usize {
        (self.0 >> 7 & 3) as usize
    }

    /// Bit `i`: the `i`th capability was unwrapped, its badge is in [`cap_badge`].
    #[inline]
    pub const fn unwrapped(self) -> usize {
        (self.0 >> 9 & 7) as usize
    }
}

/// What a receiving system call returns.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    /// Badge of the sender's capability, or the collected badges of a notification.
    pub badge: Word,
    /// What was sent.
    pub info: MessageInfo,
    /// The first four words; those beyond the message's length mean nothing.
    pub mrs: [Word; REGISTER_WORDS],
}

impl Message {
    /// Word `index`, wherever it lies; 0 beyond the message's end. Valid until the next system call.
    #[inline]
    pub fn word(&self, index: usize) -> Word {
        if index >= self.info.length() {
            0
        } else if let Some(word) = self.mrs.get(index) {
            *word
        } else {
            get_mr(index)
        }
    }
}

#[inline]
fn load(offset: usize) -> Word {
    let word;
    // SAFETY: the kernel sets the GS base to the thread's message buffer; a thread without one faults at a
    // small address. Offsets are below BUFFER_SIZE.
    unsafe {
        asm!("mov {}, gs:[{}]", out(reg) word, in(reg) offset, options(nostack, readonly, preserves_flags));
    }
    word
}

#[inline]
fn store(offset: usize, word: Word) {
    // SAFETY: as in `load`; nothing else in the program refers to the buffer.
    unsafe {
        asm!("mov gs:[{}], {}", in(reg) offset, in(reg) word, options(nostack, preserves_flags));
    }
}

/// Word `index` of the message buffer. After a receiving system call only words 4 and up are there; after an
/// invocation that failed, all. Panics above [`MAX_WORDS`].
#[inline]
pub fn get_mr(index: usize) -> Word {
    assert!(index < MAX_WORDS);
    load(MSG + index * 8)
}

/// Sets word `index` (4 and up are sent from here). Panics above [`MAX_WORDS`].
#[inline]
pub fn set_mr(index: usize, word: Word) {
    assert!(index < MAX_WORDS);
    store(MSG + index * 8, word);
}

/// Sets the `index`th capability to send. Panics above [`MAX_CAPS`].
#[inline]
pub fn set_cap(index: usize, cap: CPtr) {
    assert!(index < MAX_CAPS);
    store(CAPS + index * 8, cap.index());
}

/// The word of the message buffer that is the user's (`userData`): the kernel neither reads nor writes it.
#[inline]
pub fn user_data() -> Word {
    let word;
    // SAFETY: as in `load`. The word changes only where its owner says so, hence not volatile.
    unsafe {
        asm!("mov {}, gs:[{offset}]", out(reg) word, offset = const USER_DATA, options(nostack, pure, readonly, preserves_flags));
    }
    word
}

/// Badge of the `index`th capability received, if it was unwrapped. Panics above [`MAX_CAPS`].
#[inline]
pub fn cap_badge(index: usize) -> Word {
    assert!(index < MAX_CAPS);
    load(CAPS + index * 8)
}

/// Where a capability that is received goes: slot `index` of `depth` bits in `root`.
pub fn set_receive_slot(root: CPtr, index: Word, depth: Word) {
    store(RECEIVE_CNODE, root.index());
    store(RECEIVE_INDEX, index);
    store(RECEIVE_DEPTH, depth);
}

/// After a mapping failed with `FailedLookup`: the level that is missing, as the bits of address below it (21:
/// page table, 30: page directory, 39: PDPT).
pub fn mapping_failed_level() -> Word {
    get_mr(2)
}
