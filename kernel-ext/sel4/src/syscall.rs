// SPDX-License-Identifier: BSD-2-Clause
//! The system calls.
//!
//! Registers: rdx call number; rdi capability, then badge; rsi message info; r10 r8 r9 r15 the first
//! message words; rcx and r11 are overwritten by the processor. The kernel does not restore rsp, so each call keeps it in a
//! register.

use core::arch::asm;

use crate::message::REGISTER_WORDS;
use crate::{CPtr, Error, Message, MessageInfo, Word, set_mr};

const CALL: i64 = -1;
const REPLY_RECV: i64 = -2;
const SEND: i64 = -3;
const NB_SEND: i64 = -4;
const RECV: i64 = -5;
const REPLY: i64 = -6;
const YIELD: i64 = -7;
const NB_RECV: i64 = -8;
const DEBUG_PUT_CHAR: i64 = -9;
const DEBUG_HALT: i64 = -10;

/// Words without a meaning, for messages that have none.
const NONE: [Word; REGISTER_WORDS] = [0; REGISTER_WORDS];
const EMPTY: MessageInfo = MessageInfo::new(0, 0, 0);

/// A system call that sends and receives.
#[inline(always)]
fn exchange(number: i64, cap: CPtr, info: MessageInfo, mut mrs: [Word; REGISTER_WORDS]) -> Message {
    let (badge, info_out);
    // SAFETY: the kernel changes only the registers named here, and memory of this process only by its message buffer,
    // which the assembly is assumed to touch. rsp is put back before anything uses it.
    unsafe {
        asm!(
            "mov {saved}, rsp",
            "syscall",
            "mov rsp, {saved}",
            saved = out(reg) _,
            in("rdx") number,
            inlateout("rdi") cap.0 => badge,
            inlateout("rsi") info.0 => info_out,
            inlateout("r10") mrs[0],
            inlateout("r8") mrs[1],
            inlateout("r9") mrs[2],
            inlateout("r15") mrs[3],
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    Message {
        badge,
        info: MessageInfo(info_out),
        mrs,
    }
}

/// A system call that only receives. A notification leaves the info word as it is: empty.
#[inline(always)]
fn receive(number: i64, cap: CPtr) -> Message {
    let (badge, info, mr0, mr1, mr2, mr3);
    // SAFETY: as in `exchange`.
    unsafe {
        asm!(
            "mov {saved}, rsp",
            "syscall",
            "mov rsp, {saved}",
            saved = out(reg) _,
            in("rdx") number,
            inlateout("rdi") cap.0 => badge,
            inlateout("rsi") EMPTY.0 => info,
            lateout("r10") mr0,
            lateout("r8") mr1,
            lateout("r9") mr2,
            lateout("r15") mr3,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    Message {
        badge,
        info: MessageInfo(info),
        mrs: [mr0, mr1, mr2, mr3],
    }
}

/// A system call that only sends.
#[inline(always)]
fn transmit(number: i64, cap: CPtr, info: MessageInfo, mrs: [Word; REGISTER_WORDS]) {
    // SAFETY: as in `exchange`; all registers but rcx and r11 come back as they were.
    unsafe {
        asm!(
            "mov {saved}, rsp",
            "syscall",
            "mov rsp, {saved}",
            saved = out(reg) _,
            in("rdx") number,
            in("rdi") cap.0,
            in("rsi") info.0,
            in("r10") mrs[0],
            in("r8") mrs[1],
            in("r9") mrs[2],
            in("r15") mrs[3],
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
}

/// A system call that sends no words.
#[inline(always)]
fn transmit_nothing(number: i64, cap: usize) {
    // SAFETY: as in `transmit`; a message of no words reads no message registers.
    unsafe {
        asm!(
            "mov {saved}, rsp",
            "syscall",
            "mov rsp, {saved}",
            saved = out(reg) _,
            in("rdx") number,
            inlateout("rdi") cap => _,
            inlateout("rsi") EMPTY.0 => _,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
}

/// Sends a message and waits for the reply. Corresponds to `seL4_CallWithMRs`.
#[inline]
pub fn call(endpoint: CPtr, info: MessageInfo, mrs: [Word; REGISTER_WORDS]) -> Message {
    exchange(CALL, endpoint, info, mrs)
}

/// Sends a message; blocks until somebody receives it. Corresponds to `seL4_SendWithMRs`.
#[inline]
pub fn send(endpoint: CPtr, info: MessageInfo, mrs: [Word; REGISTER_WORDS]) {
    transmit(SEND, endpoint, info, mrs);
}

/// Sends a message if somebody waits for it, else drops it. Corresponds to `seL4_NBSendWithMRs`.
#[inline]
pub fn nb_send(endpoint: CPtr, info: MessageInfo, mrs: [Word; REGISTER_WORDS]) {
    transmit(NB_SEND, endpoint, info, mrs);
}

/// Signals a notification. Corresponds to `seL4_Signal`. On an endpoint it would block: see [`nb_signal`].
#[inline(always)]
pub fn signal(notification: CPtr) {
    transmit_nothing(SEND, notification.0);
}

/// Signals a notification, and never blocks whatever the capability turns out to be.
/// Corresponds to `seL4_NBSend` of an empty message.
#[inline(always)]
pub fn nb_signal(notification: CPtr) {
    transmit_nothing(NB_SEND, notification.0);
}

/// Waits for a message. Corresponds to `seL4_RecvWithMRs`. When the thread's bound notification ends the wait, the message's
/// info is empty (label 0, no words).
#[inline]
pub fn recv(source: CPtr) -> Message {
    receive(RECV, source)
}

/// Takes a message if there is one; the badge is 0 otherwise. Corresponds to `seL4_NBRecvWithMRs`.
#[inline]
pub fn nb_recv(source: CPtr) -> Message {
    receive(NB_RECV, source)
}

/// Waits for a signal. Corresponds to `seL4_Wait`. On a queue, MR0 is the cookie that was handed over.
#[inline]
pub fn wait(source: CPtr) -> Message {
    receive(RECV, source)
}

/// Takes what was signalled, without waiting. Corresponds to `seL4_Poll`. On a queue it collects: MR0 is the position of the
/// first entry.
#[inline]
pub fn poll(source: CPtr) -> Message {
    receive(NB_RECV, source)
}

/// Answers the last call that was received. Corresponds to `seL4_ReplyWithMRs`.
#[inline]
pub fn reply(info: MessageInfo, mrs: [Word; REGISTER_WORDS]) {
    transmit(REPLY, CPtr::NULL, info, mrs);
}

/// Answers, then waits for the next message. Corresponds to `seL4_ReplyRecvWithMRs`.
#[inline]
pub fn reply_recv(source: CPtr, info: MessageInfo, mrs: [Word; REGISTER_WORDS]) -> Message {
    exchange(REPLY_RECV, source, info, mrs)
}

/// Lets other threads of the same priority run. Corresponds to `seL4_Yield`.
#[inline]
pub fn yield_() {
    transmit_nothing(YIELD, 0);
}

/// Writes a byte to the serial line. Debug kernels only: elsewhere it is a fault. Corresponds to `seL4_DebugPutChar`.
pub fn debug_put_char(byte: u8) {
    transmit_nothing(DEBUG_PUT_CHAR, byte as usize);
}

/// Stops the machine. Debug kernels only. Corresponds to `seL4_DebugHalt`.
pub fn debug_halt() {
    transmit_nothing(DEBUG_HALT, 0);
}

/// The time-stamp counter. Under QEMU's `-icount shift=0` it counts instructions.
#[inline(always)]
pub fn rdtsc() -> u64 {
    // SAFETY: reads a counter; both kernels leave it open to user mode.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Calls a method of a kernel object. On failure the reply's words are put where [`get_mr`](crate::get_mr) finds them.
#[inline]
pub(crate) fn invoke(
    service: CPtr,
    info: MessageInfo,
    mrs: [Word; REGISTER_WORDS],
) -> Result<Message, Error> {
    #[cfg(feature = "meter")]
    let begin = rdtsc();
    let reply = call(service, info, mrs);
    #[cfg(feature = "meter")]
    crate::meter::count(info.label(), begin);
    match Error::from_label(reply.info.label()) {
        None => Ok(reply),
        Some(error) => {
            for (i, word) in reply.mrs.into_iter().enumerate() {
                set_mr(i, word);
            }
            Err(error)
        }
    }
}

/// Corresponds to no call of libsel4: an invocation of any label with any words, for tests of what a kernel refuses.
/// Returns the reply's label (an error number, 0 for none) and words.
pub fn invoke_raw(
    service: CPtr,
    label: Word,
    caps: &[CPtr],
    words: &[Word],
) -> (Word, [Word; REGISTER_WORDS]) {
    let mut mrs = NONE;
    for (i, cap) in caps.iter().enumerate() {
        crate::set_cap(i, *cap);
    }
    for (i, word) in words.iter().enumerate() {
        match mrs.get_mut(i) {
            Some(register) => *register = *word,
            None => set_mr(i, *word),
        }
    }
    let reply = call(
        service,
        MessageInfo::new(label, caps.len(), words.len()),
        mrs,
    );
    (reply.info.label(), reply.mrs)
}
