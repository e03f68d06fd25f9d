/* SPDX-License-Identifier: GPL-2.0-only */

/*
 * Notification queue: one thread waits for thousands of notifications.
 *
 * Four steps, in the order of this file:
 *
 *  - a signal to an attached notification adds an entry (the cookie) to the
 *    queue, unless one of its entries is still uncollected;
 *  - a receiver collects the entries or, if there are none, waits;
 *  - deleting an attachment detaches its notification: all ways to detach end
 *    in deletingAttachment;
 *  - invocations attach, detach and set the buffer.
 *
 * What can be attached has a notification: a queue starts with one, which is
 * signalled when an entry is added, and a thread has one, which is signalled
 * when it ends.
 *
 * Waiters and the bound thread are those of the notification that the queue
 * starts with, and are woken by sendSignal on it. That notification is active
 * while there are entries of which the bound thread has not been told. Whether
 * there are entries is for the ring to say.
 */

#include <config.h>

#ifdef CONFIG_ARCH_X86_64

#include <assert.h>
#include <object.h>
#include <api/syscall.h>
#include <kernel/thread.h>
#include <machine/io.h>
#include <model/statedata.h>

static inline notification_queue_t *CONST queueOf(cap_t cap)
{
    return NQ_PTR(cap_notification_queue_cap_get_capNQPtr(cap));
}

/* Size of the buffer that a cap gives, 0 if it cannot be one */
static inline word_t CONST bufferBits(cap_t cap)
{
    word_t bits = cap_get_capType(cap) == cap_frame_cap ? pageBitsForSize(cap_frame_cap_get_capFSize(cap)) : 0;

    return bits <= NQ_LARGE_BITS ? bits : 0;
}

static void setMessage(tcb_t *thread, word_t badge, word_t length, word_t word)
{
    setRegister(thread, badgeRegister, badge);
    setRegister(thread, msgRegisters[0], word);
    setRegister(thread, msgInfoRegister, wordFromMessageInfo(seL4_MessageInfo_new(0, 0, 0, length)));
}

/* ---- Signal ---- */

/* Writes an entry and returns its position. Without a buffer it is only
 * counted. The buffer is written as the kernel sees it, wherever the user has
 * it mapped, the entry before the tail that tells of it. */
static inline word_t addEntry(notification_queue_t *queue, word_t cookie)
{
    word_t word = queue->ring.next;
    word_t position = nqPush(&queue->ring);

    if (likely(cap_get_capType(queue->buffer.cap) == cap_frame_cap)) {
        word_t *words = WORD_PTR(cap_frame_cap_get_capFBasePtr(queue->buffer.cap));

        words[word] = cookie;
        SMP_COND_STATEMENT(__atomic_thread_fence(__ATOMIC_RELEASE);)
        words[0] = position;
    }
    return position;
}

/* Hands the first waiter of a queue a cookie or, as count says, two. sendSignal
 * wakes it; it sets the badge, not the message. */
static void handOver(notification_t *ntfnPtr, word_t count, word_t cookie, word_t inner)
{
    tcb_t *waiter = TCB_PTR(notification_ptr_get_ntfnQueue_head(ntfnPtr));

    setMessage(waiter, 0, count, cookie);
    setRegister(waiter, msgRegisters[1], inner);
    sendSignal(ntfnPtr, NQ_BADGE | count);
}

/* Tells the queue that an attached notification is active, unless it knows. A
 * waiter is handed the cookie; then there is no entry. A waiter of the outer
 * queue is handed the inner queue's cookie, too; then there is none in either. */
static void notifyQueue(notification_t *ntfnPtr)
{
    cte_t *attachment = NTFN_ATTACHMENT(ntfnPtr);
    notification_queue_t *queue = queueOf(attachment->cap);
    word_t state, cookie;

    if (nqOutstanding(&queue->ring, notification_ptr_get_ntfnQueue_head(ntfnPtr))) {
        return;
    }
    state = notification_ptr_get_state(&queue->ntfn);
    cookie = cap_notification_queue_cap_get_capNQCookie(attachment->cap);
    if (state == NtfnState_Waiting) {
        handOver(&queue->ntfn, 1, cookie, 0);
        return;
    }
    if (state == NtfnState_Attached) {
        cap_t outer = queue->attachment.cap;

        if (notification_ptr_get_state(&queueOf(outer)->ntfn) == NtfnState_Waiting) {
            handOver(&queueOf(outer)->ntfn, 2, cap_notification_queue_cap_get_capNQCookie(outer), cookie);
            return;
        }
    }
    notification_ptr_set_ntfnQueue_head(ntfnPtr, addEntry(queue, cookie));
    if (state == NtfnState_Idle && !notification_ptr_get_ntfnBoundTCB(&queue->ntfn)) {
        /* As sendSignal would, in a third of the instructions */
        notification_ptr_set_ntfnMsgIdentifier(&queue->ntfn, NQ_BADGE);
        notification_ptr_set_state(&queue->ntfn, NtfnState_Active);
    } else if (state != NtfnState_Active) {
        sendSignal(&queue->ntfn, NQ_BADGE);
    }
}

void sendAttachedSignal(notification_t *ntfnPtr, word_t badge)
{
    if (notification_ptr_get_attachedActive(ntfnPtr)) {
        badge |= notification_ptr_get_ntfnMsgIdentifier(ntfnPtr);
    } else {
        notification_ptr_set_attachedActive(ntfnPtr, true);
    }
    notification_ptr_set_ntfnMsgIdentifier(ntfnPtr, badge);
    notifyQueue(ntfnPtr);
}

/* The thread was deleted, or stopped by a fault that nobody handles. */
void threadEnded(tcb_t *tcb)
{
    sendSignal(&tcb->tcbEnd, 0);
    /* Whom that woke is enqueued, not switched to: it may be deleted next. */
    rescheduleRequired();
}

/* ---- Receive ---- */

/* Takes the badges; the entry that tells of them stays. To wait is a fault: who
 * waits, waits for the queue. */
void receiveAttachedSignal(tcb_t *thread, notification_t *ntfnPtr, bool_t isBlocking)
{
    if (isBlocking) {
        current_lookup_fault = lookup_fault_missing_capability_new(0);
        current_fault = seL4_Fault_CapFault_new(getRegister(thread, capRegister), true);
        handleFault(thread);
    } else if (notification_ptr_get_attachedActive(ntfnPtr)) {
        setRegister(thread, badgeRegister, notification_ptr_get_ntfnMsgIdentifier(ntfnPtr));
        notification_ptr_set_attachedActive(ntfnPtr, false);
    } else {
        doNBRecvFailedTransfer(thread);
    }
}

/* Takes out all entries. The collector learns, if it wants a reply, how many
 * there are and the number of the first. */
static inline void collect(tcb_t *thread, notification_queue_t *queue, bool_t reply)
{
    word_t first = queue->ring.head;
    word_t badge = NQ_BADGE | nqCollect(&queue->ring);

    if (badge != NQ_BADGE && unlikely(cap_get_capType(queue->buffer.cap) != cap_frame_cap)) {
        badge |= NQ_OVERRUN;
    }
    if (notification_ptr_get_state(&queue->ntfn) == NtfnState_Active) {
        notification_ptr_set_state(&queue->ntfn, NtfnState_Idle);
    }
    notification_ptr_set_attachedActive(&queue->ntfn, false);
    if (reply) {
        setMessage(thread, badge, 1, first);
    }
}

/* What one waits for: a signal to the thread's own bound notification, an entry
 * (which is told of, not collected) or a cookie that is handed over. */
static void waitForQueue(tcb_t *thread, notification_queue_t *queue, cap_t cap)
{
    notification_t *bound = thread->tcbBoundNotification;

    if (bound && notification_ptr_get_state(bound) == NtfnState_Active) {
        completeSignal(bound, thread);
    } else if (queue->ring.tail != queue->ring.head) {
        setRegister(thread, badgeRegister, NQ_BADGE);
    } else {
        assert(notification_ptr_get_state(&queue->ntfn) != NtfnState_Active);
        receiveSignal(thread, queueNotificationCap(cap), true);
        /* A state of its own: its bound notification wakes the thread. */
        thread_state_ptr_set_tsType(&thread->tcbState, ThreadState_BlockedOnNotificationQueue);
    }
}

/* False if the current thread may not wait here; then it faults. */
bool_t receiveQueue(cap_t cap, bool_t isBlocking)
{
    tcb_t *thread = NODE_STATE(ksCurThread);
    notification_queue_t *queue = queueOf(cap);
    tcb_t *boundTCB = TCB_PTR(notification_ptr_get_ntfnBoundTCB(&queue->ntfn));

    if (!cap_notification_queue_cap_get_capNQCanWait(cap) || (boundTCB && boundTCB != thread) ||
            (isBlocking && isAttached(&queue->ntfn))) {
        return false;
    }
    if (isBlocking) {
        waitForQueue(thread, queue, cap);
    } else {
        collect(thread, queue, true);
    }
    return true;
}

/* ---- Delete ---- */

/* The last cap to a notification or queue goes. From a queue nothing hangs any
 * more, or only the attachment that is just going. Deepest nesting:
 * notification, attachment, queue, attachment, outer queue, frame. */
void deletingNotification(cap_t cap)
{
    notification_t *ntfnPtr = NTFN_PTR(cap_notification_cap_get_capNtfnPtr(queueNotificationCap(cap)));

    cteDeleteOne(NTFN_ATTACHMENT(ntfnPtr));
    if (cap_get_capType(cap) == cap_notification_queue_cap) {
        cteDeleteOne(&queueOf(cap)->buffer);
    }
}

/* The last cap to a thread goes. */
void deletingThread(tcb_t *tcb)
{
    threadEnded(tcb);
    cteDeleteOne(NTFN_ATTACHMENT(&tcb->tcbEnd));
}

/* The slot of an attachment is about to be emptied: settle the queue's counts
 * and make the notification an ordinary one again. The queue is still there:
 * this cap was one to it. */
void deletingAttachment(cte_t *slot)
{
    notification_t *ntfnPtr = (notification_t *)slot - 1;

    nqDetach(&queueOf(slot->cap)->ring, notification_ptr_get_ntfnQueue_head(ntfnPtr));
    /* The word is again the first waiter's, of which there is none. */
    notification_ptr_set_ntfnQueue_head(ntfnPtr, 0);
    notification_ptr_set_state(ntfnPtr, notification_ptr_get_attachedActive(ntfnPtr) ?
                               NtfnState_Active : NtfnState_Idle);
    notification_ptr_set_attachedActive(ntfnPtr, false);
}

/* ---- Invoke ---- */

/* An error of a decode. Which cap was wrong (0: the queue's) is said for
 * InvalidCapability only, how much memory is left for NotEnoughMemory only. */
static exception_t refuse(seL4_Error error, word_t capNumber, const char *why)
{
    userError("NotificationQueue %s", why);
    current_syscall_error.type = error;
    current_syscall_error.invalidCapNumber = capNumber;
    current_syscall_error.memoryLeft = 0;
    return EXCEPTION_SYSCALL_ERROR;
}

/* The notification of what a cap names, NULL if that cannot be attached */
static notification_t *CONST attachableOf(cap_t cap)
{
    if (cap_get_capType(cap) == cap_thread_cap) {
        return &TCB_PTR(cap_thread_cap_get_capTCBPtr(cap))->tcbEnd;
    }
    cap = queueNotificationCap(cap);
    if (cap_get_capType(cap) == cap_notification_cap && cap_notification_cap_get_capNtfnCanReceive(cap)) {
        return NTFN_PTR(cap_notification_cap_get_capNtfnPtr(cap));
    }
    return NULL;
}

static exception_t invokeAttach(notification_queue_t *queue, cte_t *slot, notification_t *ntfnPtr,
                                bool_t active, word_t cookie)
{
    cteInsert(cap_notification_queue_cap_new(cookie, false, false, true, NQ_REF(queue)),
              slot, NTFN_ATTACHMENT(ntfnPtr));
    queue->ring.attached++;
    notification_ptr_set_ntfnQueue_head(ntfnPtr, 0);
    notification_ptr_set_attachedActive(ntfnPtr, active);
    notification_ptr_set_state(ntfnPtr, NtfnState_Attached);
    if (active) {
        notifyQueue(ntfnPtr);
    }
    return EXCEPTION_NONE;
}

static exception_t decodeAttach(word_t length, cte_t *slot, notification_queue_t *queue, cap_t cap, word_t *buffer)
{
    notification_t *ntfnPtr = attachableOf(cap);
    notification_queue_t *inner = cap_get_capType(cap) == cap_notification_queue_cap ? queueOf(cap) : NULL;
    bool_t active = notification_ptr_get_state(ntfnPtr) == NtfnState_Active;

    if (length < 1) {
        return refuse(seL4_TruncatedMessage, 0, "Attach: Truncated message.");
    }
    if (isAttached(ntfnPtr) || notification_ptr_get_state(ntfnPtr) == NtfnState_Waiting ||
            notification_ptr_get_ntfnBoundTCB(ntfnPtr)) {
        return refuse(seL4_IllegalOperation, 0, "Attach: Attached, waited for or bound already.");
    }
    if (inner && (inner == queue || inner->ring.attached || isAttached(&queue->ntfn))) {
        return refuse(seL4_IllegalOperation, 0, "Attach: Only an empty queue, and one level deep.");
    }
    if (!nqFits(&queue->ring, 1, bufferBits(queue->buffer.cap))) {
        return refuse(seL4_NotEnoughMemory, 0, "Attach: The buffer has no room for another attachment.");
    }
    setThreadState(NODE_STATE(ksCurThread), ThreadState_Restart);
    return invokeAttach(queue, slot, ntfnPtr, active || (inner && inner->ring.tail != inner->ring.head),
                        getSyscallArg(0, buffer));
}

static exception_t decodeDetach(notification_queue_t *queue, notification_t *ntfnPtr)
{
    if (!isAttached(ntfnPtr) || queueOf(NTFN_ATTACHMENT(ntfnPtr)->cap) != queue) {
        return refuse(seL4_IllegalOperation, 0, "Detach: Not attached to this queue.");
    }
    setThreadState(NODE_STATE(ksCurThread), ThreadState_Restart);
    cteDeleteOne(NTFN_ATTACHMENT(ntfnPtr));
    return EXCEPTION_NONE;
}

/* The collected run lies in the old buffer. */
static exception_t invokeSetBuffer(notification_queue_t *queue, cap_t frameCap, cte_t *frameSlot, bool_t call)
{
    collect(NODE_STATE(ksCurThread), queue, call);
    cteDeleteOne(&queue->buffer);
    cteInsert(frameCap, frameSlot, &queue->buffer);
    nqSetBuffer(&queue->ring, bufferBits(frameCap));
    *WORD_PTR(cap_frame_cap_get_capFBasePtr(frameCap)) = queue->ring.tail;
    /* There is a reply already. */
    setThreadState(NODE_STATE(ksCurThread), ThreadState_Running);
    return EXCEPTION_NONE;
}

static exception_t decodeSetBuffer(notification_queue_t *queue, cte_t *frameSlot, bool_t call)
{
    word_t bits = bufferBits(frameSlot->cap);
    deriveCap_ret_t dc_ret;

    if (bits == 0 || cap_frame_cap_get_capFIsDevice(frameSlot->cap) ||
            cap_frame_cap_get_capFVMRights(frameSlot->cap) != VMReadWrite) {
        return refuse(seL4_InvalidCapability, 1, "SetBuffer: Not a read-write 4K or 2M frame of ordinary memory.");
    }
    /* Not nqFits: what is stale now will have been collected. */
    if (queue->ring.attached > nqSlots(bits) / 2) {
        return refuse(seL4_NotEnoughMemory, 0, "SetBuffer: The frame is too small for what is attached.");
    }
    dc_ret = deriveCap(frameSlot, frameSlot->cap);
    if (dc_ret.status != EXCEPTION_NONE) {
        return dc_ret.status;
    }
    setThreadState(NODE_STATE(ksCurThread), ThreadState_Restart);
    return invokeSetBuffer(queue, dc_ret.cap, frameSlot, call);
}

exception_t decodeNotificationQueueInvocation(word_t invLabel, word_t length, cte_t *slot, cap_t cap,
                                              extra_caps_t excaps, bool_t call, word_t *buffer)
{
    cte_t *argument = excaps.excaprefs[0];

    if (invLabel < NotificationQueueAttach || invLabel > NotificationQueueSetBuffer) {
        return refuse(seL4_IllegalOperation, 0, "Illegal operation attempted.");
    }
    if (!cap_notification_queue_cap_get_capNQCanManage(cap)) {
        return refuse(seL4_InvalidCapability, 0, "The cap lacks the write (manage) right.");
    }
    if (argument == NULL) {
        return refuse(seL4_TruncatedMessage, 0, "Truncated message.");
    }
    if (invLabel == NotificationQueueSetBuffer) {
        return decodeSetBuffer(queueOf(cap), argument, call);
    }
    if (attachableOf(argument->cap) == NULL) {
        return refuse(seL4_InvalidCapability, 1, "Neither a thread, nor a notification or queue with the read right.");
    }
    if (invLabel == NotificationQueueAttach) {
        return decodeAttach(length, slot, queueOf(cap), argument->cap, buffer);
    }
    return decodeDetach(queueOf(cap), attachableOf(argument->cap));
}

#endif /* CONFIG_ARCH_X86_64 */
