// SPDX-License-Identifier: GPL-2.0-only
//! Ways to break the queue, one at a time. The tests of kernel-ext/tests must
//! notice each: `cargo xtask test kernel-mutants` builds and boots every one.
//!
//! Arithmetic alone is not here: host-tests/ring.rs and proof/ have mutants of nqring.h.

use crate::kernel::Kernel;

/// One place of the patched source, changed.
#[derive(Clone, Copy, Debug)]
pub struct Mutant {
    /// What is wrong with it.
    pub name: &'static str,
    /// The file, as a path in the kernel's source.
    pub path: &'static str,
    /// What stands there, once.
    pub from: &'static str,
    /// What stands there instead.
    pub to: &'static str,
}

impl Mutant {
    /// The kernel that it is a mutant of.
    pub fn kernel(&self) -> Kernel {
        match self.path {
            FAST => Kernel::Fast,
            _ => Kernel::Queue,
        }
    }
}

const fn mutant(
    name: &'static str,
    path: &'static str,
    from: &'static str,
    to: &'static str,
) -> Mutant {
    Mutant {
        name,
        path,
        from,
        to,
    }
}

const FAST: &str = "src/fastpath/signal.c";
const QUEUE: &str = "src/object/notificationqueue.c";
const HEADER: &str = "include/object/notificationqueue.h";
const RING: &str = "include/object/nqring.h";
const TYPES: &str = "src/object/objecttype.c";

/// All of them.
#[rustfmt::skip]
pub const MUTANTS: &[Mutant] = &[
    // Signal
    mutant("the tail is not written", QUEUE, "words[0] = position;", ""),
    mutant("the entry is not written", QUEUE, "words[word] = cookie;", ""),
    mutant("an entry for each signal", QUEUE,
        "if (nqOutstanding(&queue->ring, notification_ptr_get_ntfnQueue_head(ntfnPtr))) {\n        return;\n    }", ""),
    mutant("collecting does not re-arm", RING, "return position > ring->head;", "return position != 0;"),
    mutant("a waiter is handed no cookie", QUEUE, "setMessage(waiter, 0, count, cookie);", ""),
    mutant("a waiter is woken without its count", QUEUE, "sendSignal(ntfnPtr, NQ_BADGE | count);", "sendSignal(ntfnPtr, NQ_BADGE);"),
    mutant("a waiter leaves an entry, too", QUEUE, "handOver(&queue->ntfn, 1, cookie, 0);\n        return;", "handOver(&queue->ntfn, 1, cookie, 0);"),
    mutant("an outer queue's waiter is handed no inner cookie", QUEUE, "setRegister(waiter, msgRegisters[1], inner);", ""),
    mutant("an outer queue's waiter is handed one cookie", QUEUE, "setMessage(waiter, 0, count, cookie);", "setMessage(waiter, 0, 1, cookie);"),
    mutant("an outer queue's waiter is handed the inner cookie for the outer", QUEUE, "2, cap_notification_queue_cap_get_capNQCookie(outer), cookie);", "2, cookie, cookie);"),
    mutant("an outer queue's waiter leaves an inner entry, too", QUEUE, "capNQCookie(outer), cookie);\n            return;", "capNQCookie(outer), cookie);"),
    mutant("an outer queue hands over without a waiter", QUEUE, "if (notification_ptr_get_state(&queueOf(outer)->ntfn) == NtfnState_Waiting) {", "if (true) {"),
    mutant("an outer queue's waiter is handed nothing", QUEUE, "if (state == NtfnState_Attached) {\n        cap_t outer", "if (0) {\n        cap_t outer"),
    mutant("the position is forgotten", QUEUE,
        "notification_ptr_set_ntfnQueue_head(ntfnPtr, addEntry(queue, cookie));", "addEntry(queue, cookie);"),
    mutant("a bound thread is not told", QUEUE, "if (state == NtfnState_Idle && !notification_ptr_get_ntfnBoundTCB(&queue->ntfn)) {",
        "if (state == NtfnState_Idle) {"),
    mutant("an outer queue is not told", QUEUE, "} else if (state != NtfnState_Active) {\n        sendSignal(&queue->ntfn, NQ_BADGE);",
        "} else if (state != NtfnState_Active && state != NtfnState_Attached) {\n        sendSignal(&queue->ntfn, NQ_BADGE);"),
    mutant("badges do not accumulate", QUEUE, "badge |= notification_ptr_get_ntfnMsgIdentifier(ntfnPtr);", ";"),
    mutant("badges of before are not forgotten", QUEUE, "if (notification_ptr_get_attachedActive(ntfnPtr)) {\n        badge |=", "if (true) {\n        badge |="),
    mutant("a thread's end is not told", QUEUE, "sendSignal(&tcb->tcbEnd, 0);", ";"),
    mutant("an attached notification is signalled as any other", "src/object/notification.c",
        "if (unlikely(isAttached(ntfnPtr))) {", "if (0) {"),
    mutant("a bound notification does not wake a queue's waiter", "src/object/notification.c",
        "\n                    || thread_state_ptr_get_tsType(&tcb->tcbState) == ThreadState_BlockedOnNotificationQueue", ""),
    // Receive
    mutant("poll leaves an attached notification active", QUEUE,
        "notification_ptr_set_attachedActive(ntfnPtr, false);\n    } else {", "} else {"),
    mutant("no overrun", QUEUE, "badge |= NQ_OVERRUN;", ";"),
    mutant("always overrun", QUEUE, "if (badge != NQ_BADGE && unlikely(cap_get_capType(queue->buffer.cap) != cap_frame_cap)) {", "if (badge != NQ_BADGE) {"),
    mutant("a collected queue stays active", QUEUE, "notification_ptr_set_state(&queue->ntfn, NtfnState_Idle);", ";"),
    mutant("the first entry's number is the tail", QUEUE, "word_t first = queue->ring.head;", "word_t first = queue->ring.tail;"),
    mutant("wait ignores the thread's own notification", QUEUE, "if (bound && notification_ptr_get_state(bound)", "if (0 && notification_ptr_get_state(bound)"),
    mutant("wait blocks with entries there", QUEUE, "} else if (queue->ring.tail != queue->ring.head) {", "} else if (0) {"),
    mutant("a queue's waiter is as a notification's", QUEUE,
        "thread_state_ptr_set_tsType(&thread->tcbState, ThreadState_BlockedOnNotificationQueue);", ";"),
    mutant("anybody may wait", QUEUE, "!cap_notification_queue_cap_get_capNQCanWait(cap) || ", ""),
    mutant("others may wait for a bound queue", QUEUE, "(boundTCB && boundTCB != thread) ||", ""),
    mutant("an inner queue may be waited for", QUEUE, "(isBlocking && isAttached(&queue->ntfn))", "0"),
    mutant("an attached notification may be waited for", QUEUE, "if (isBlocking) {\n        current_lookup_fault", "if (0) {\n        current_lookup_fault"),
    // Delete
    mutant("the head is not a pointer again", QUEUE, "notification_ptr_set_ntfnQueue_head(ntfnPtr, 0);\n    notification_ptr_set_state(ntfnPtr, notification_ptr_get",
        "notification_ptr_set_state(ntfnPtr, notification_ptr_get"),
    mutant("detached, a notification is idle", QUEUE, "notification_ptr_get_attachedActive(ntfnPtr) ?\n", "0 ?\n"),
    mutant("what is detached is not counted", QUEUE,
        "nqDetach(&queueOf(slot->cap)->ring, notification_ptr_get_ntfnQueue_head(ntfnPtr));", ""),
    mutant("entries of the detached are not counted", RING, "ring->stale++;", ""),
    mutant("an attachment is an ordinary cap", "src/object/cnode.c", "if (unlikely(isAttachment(slot->cap))) {", "if (0) {"),
    mutant("a notification's attachment is left behind", QUEUE, "cteDeleteOne(NTFN_ATTACHMENT(ntfnPtr));\n    if (cap_get_capType(cap)", "if (cap_get_capType(cap)"),
    mutant("a queue's buffer is left behind", QUEUE, "cteDeleteOne(&queueOf(cap)->buffer);", ""),
    mutant("a thread's attachment is left behind", QUEUE, "threadEnded(tcb);\n    cteDeleteOne(NTFN_ATTACHMENT(&tcb->tcbEnd));", "threadEnded(tcb);"),
    mutant("a fault that nobody handles is no end", "src/kernel/faulthandler.c", "    threadEnded(tptr);\n", ""),
    mutant("a deleted thread is no end", QUEUE, "threadEnded(tcb);\n    cteDeleteOne(", "cteDeleteOne("),
    mutant("any cap to a queue is its last", TYPES, "case cap_notification_queue_cap:\n        if (final) {", "case cap_notification_queue_cap:\n        if (true) {"),
    mutant("all queues are the same", HEADER, " &&\n           cap_notification_queue_cap_get_capNQPtr(cap_a) == cap_notification_queue_cap_get_capNQPtr(cap_b);", ";"),
    mutant("no two caps are to the same queue", HEADER, "return cap_get_capType(cap_b) == cap_notification_queue_cap &&", "return 0 &&"),
    mutant("a queue's waiter cannot be stopped", "src/object/endpoint.c", "    case ThreadState_BlockedOnNotificationQueue:\n", ""),
    mutant("a queue's waiter does not count as blocked", "src/kernel/thread.c", "    case ThreadState_BlockedOnNotificationQueue:\n", ""),
    // Invoke
    mutant("an active notification is not told of", QUEUE, "if (active) {\n        notifyQueue(ntfnPtr);\n    }", ""),
    mutant("an inner queue's entries are not told of", QUEUE, "active || (inner && inner->ring.tail != inner->ring.head)", "active"),
    mutant("the cookie is lost", QUEUE, "cap_notification_queue_cap_new(cookie,", "cap_notification_queue_cap_new(0,"),
    mutant("an attachment can wait", QUEUE, "cap_notification_queue_cap_new(cookie, false, false, true,", "cap_notification_queue_cap_new(cookie, false, false, false,"),
    mutant("attachments are not counted", QUEUE, "queue->ring.attached++;", ""),
    mutant("a message without a cookie attaches", QUEUE, "if (length < 1) {", "if (0) {"),
    mutant("what is attached is attached again", QUEUE, "if (isAttached(ntfnPtr) || notification_ptr_get_state(ntfnPtr) == NtfnState_Waiting ||", "if (notification_ptr_get_state(ntfnPtr) == NtfnState_Waiting ||"),
    mutant("what is waited for is attached", QUEUE, "notification_ptr_get_state(ntfnPtr) == NtfnState_Waiting ||\n", "\n"),
    mutant("what is bound is attached", QUEUE, "||\n            notification_ptr_get_ntfnBoundTCB(ntfnPtr)) {", ") {"),
    mutant("a queue is attached to itself", QUEUE, "inner == queue || ", ""),
    mutant("two levels deep, from above", QUEUE, "inner->ring.attached || ", ""),
    mutant("two levels deep, from below", QUEUE, " || isAttached(&queue->ntfn))) {", ")) {"),
    mutant("no limit", QUEUE, "if (!nqFits(&queue->ring, 1, bufferBits(queue->buffer.cap))) {", "if (0) {"),
    mutant("one too many", QUEUE, "if (!nqFits(&queue->ring, 1,", "if (!nqFits(&queue->ring, 0,"),
    mutant("a ring of N", RING, "return ring->attached + ring->stale + more <= nqSlots(bits) / 2;", "return ring->attached + ring->stale + more <= nqSlots(bits);"),
    mutant("any queue detaches", QUEUE, "if (!isAttached(ntfnPtr) || queueOf(NTFN_ATTACHMENT(ntfnPtr)->cap) != queue) {", "if (!isAttached(ntfnPtr)) {"),
    mutant("SetBuffer does not collect", QUEUE, "collect(NODE_STATE(ksCurThread), queue, call);\n", "if (call) { setMessage(NODE_STATE(ksCurThread), NQ_BADGE, queue->ring.head); }\n"),
    mutant("SetBuffer writes no tail", QUEUE, "*WORD_PTR(cap_frame_cap_get_capFBasePtr(frameCap)) = queue->ring.tail;", ""),
    mutant("SetBuffer starts at the first word", RING, "ring->next = (nq_half_t)nqEntryWord(ring->tail, bits);", "ring->next = NQ_HEADER_WORDS;"),
    mutant("the old buffer is kept", QUEUE, "cteDeleteOne(&queue->buffer);\n    cteInsert", "cteInsert"),
    mutant("a buffer may be of a device", QUEUE, "cap_frame_cap_get_capFIsDevice(frameSlot->cap) ||\n", "\n"),
    mutant("a buffer may be read-only", QUEUE, "cap_frame_cap_get_capFVMRights(frameSlot->cap) != VMReadWrite", "0"),
    mutant("a buffer may be too small", QUEUE, "if (queue->ring.attached > nqSlots(bits) / 2) {", "if (0) {"),
    mutant("anybody may manage", QUEUE, "if (!cap_notification_queue_cap_get_capNQCanManage(cap)) {", "if (0) {"),
    mutant("a sender may attach", QUEUE, " && cap_notification_cap_get_capNtfnCanReceive(cap)", ""),
    mutant("higher labels set the buffer", QUEUE, "|| invLabel > NotificationQueueSetBuffer", ""),
    mutant("a message without a cap is taken", QUEUE, "if (argument == NULL) {", "if (0) {"),
    mutant("rights cannot be taken away", TYPES, "return maskQueueCapRights(cap_rights, cap);", "return cap;"),
    mutant("badges are ignored", TYPES, "return newData ? cap_null_cap_new() : cap;", "return cap;"),
    mutant("what is attached is bound", "src/object/tcb.c", "\n            || isAttached(ntfnPtr)", ""),
    // The optional fast path
    mutant("fast: anybody may receive", FAST, "cap.words[0] >> 58 == (type << 1 | 1)", "cap.words[0] >> 59 == type"),
    mutant("fast: anybody may send", FAST, "\n                 || !cap_notification_cap_get_capNtfnCanSend(cap)", ""),
    mutant("fast: what another is bound to may be received from", FAST, "return boundTCB && boundTCB != thread;", "return 0;"),
    mutant("fast: any waiter runs at once", FAST, "&& dest->tcbPriority > NODE_STATE(ksCurThread)->tcbPriority", ""),
    mutant("fast: who wakes another is forgotten", FAST, "    SCHED_ENQUEUE_CURRENT_TCB;\n", ""),
    mutant("fast: the last badges are lost in a hand-over", FAST, "badge |= notification_ptr_get_ntfnMsgIdentifier(ntfnPtr);", ""),
    mutant("fast: a hand-over does not make active", FAST, "notification_ptr_set_attachedActive(ntfnPtr, true);", ""),
    mutant("fast: nobody reports an overrun", FAST, "\n                   && cap_get_capType(NQ_PTR(ntfnPtr)->buffer.cap) == cap_frame_cap", ""),
    mutant("fast: polling takes nothing", FAST, "notification_ptr_set_attachedActive(ntfnPtr, false);\n            return", "return"),
    mutant("fast: collecting leaves the queue active", FAST, "if (notification_ptr_get_state(&queue->ntfn) == NtfnState_Active) {", "if (0) {"),
    mutant("fast: an inner queue tells once only", FAST, "    notification_ptr_set_attachedActive(&queue->ntfn, false);\n", ""),
    mutant("fast: who was interrupted goes on as if it had called", FAST, "\n           && getRegister(thread, Error) == (word_t)-1", ""),
    mutant("fast: who is to restart goes on", FAST, "thread_state_get_tsType(next->tcbState) == ThreadState_Running\n           && ", ""),
    mutant("fast: waiters are served last come, first", FAST, "        tail->tcbEPNext = thread;\n", ""),
    mutant("fast: who waits stays ready", FAST, "    tcbSchedDequeue(next);\n", ""),
    mutant("fast: a bound notification's signals are not taken", FAST, "\n                     || (bound && notification_ptr_get_state(bound) == NtfnState_Active)", ""),
    mutant("fast: an inner queue may be waited for", FAST, "isBoundToOther_fp(ntfnPtr, thread) || isAttached(ntfnPtr)", "isBoundToOther_fp(ntfnPtr, thread)"),
    mutant("fast: an attached notification may be waited for", FAST, "if (likely(!isAttached(ntfnPtr))) {", "if (1) {"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn each_mutant_has_its_place() {
        // It has all that the queue kernel has.
        let tree = Tree::new(Kernel::Fast).unwrap();
        for mutant in MUTANTS {
            let text = tree.read(mutant.path).unwrap();
            let places = text.matches(mutant.from).count();
            assert_eq!(places, 1, "{}: {:?}", mutant.name, mutant.from);
        }
    }
}
