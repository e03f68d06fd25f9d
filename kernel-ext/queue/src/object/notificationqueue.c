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
 * Waiters and the bound thread are those of the notification that the queue
 * starts with, and are woken by sendSignal on it. That notification is active
 * while there are entries of which the bound thread has not been told. Whether
 * there are entries is for the ring to say.
 */

#include <config.h>

#ifdef CONFIG_ARCH_X86_64

#include <assert.h>
#include <api/invocation.h>
#include <api/syscall.h>
#include <kernel/thread.h>
#include <machine/io.h>
#include <model/statedata.h>
#include <object/cnode.h>
#include <object/notification.h>
#include <object/notificationqueue.h>
#include <object/objecttype.h>

static inline notification_queue_t *CONST
queueOf(cap_t cap)
{
    return NQ_PTR(cap_notification_queue_cap_get_capNQPtr(cap));
}

/* Size of the buffer that a cap gives, 0 if it is no frame */
static inline word_t CONST
bufferBits(cap_t cap)
{
    if (cap_get_capType(cap) == cap_frame_cap) {
        return pageBitsForSize(cap_frame_cap_get_capFSize(cap));
    }
    return 0;
}

/* The buffer as the kernel sees it, wherever the user has it mapped */
static inline word_t *CONST
bufferWords(cap_t cap)
{
    return WORD_PTR(cap_frame_cap_get_capFBasePtr(cap));
}

static void
setMessage(tcb_t *thread, word_t badge, word_t word)
{
    setRegister(thread, badgeRegister, badge);
    setRegister(thread, msgRegisters[0], word);
    setRegister(thread, msgInfoRegister, wordFromMessageInfo(seL4_MessageInfo_new(0, 0, 0, 1)));
}

/* ---- Signal ---- */

/* Writes an entry and returns its position. Without a buffer it is only
 * counted. The tail follows the entry; with one core, no user sees either
 * before both are written. */
static word_t
addEntry(notification_queue_t *queue, word_t cookie)
{
    word_t bits = bufferBits(queue->buffer.cap);
    word_t position = nqPush(&queue->ring);

    if (likely(bits != 0)) {
        word_t *words = bufferWords(queue->buffer.cap);

        words[nqEntryWord(position - 1, bits)] = cookie;
        words[0] = position;
    }
    return position;
}

/* Tells the queue that an attached notification is active, unless it knows. A
 * waiter is handed the cookie; then there is no entry. */
static void
notifyQueue(notification_t *ntfnPtr)
{
    cap_t attachment = NTFN_ATTACHMENT(ntfnPtr)->cap;
    notification_queue_t *queue = queueOf(attachment);
    word_t cookie = cap_notification_queue_cap_get_capNQCookie(attachment);

    if (nqOutstanding(&queue->ring, notification_ptr_get_ntfnQueue_head(ntfnPtr))) {
        return;
    }
    if (notification_ptr_get_state(&queue->ntfn) == NtfnState_Waiting) {
        /* sendSignal wakes the first waiter; it sets the badge, not the message. */
        setMessage(TCB_PTR(notification_ptr_get_ntfnQueue_head(&queue->ntfn)), 0, cookie);
        sendSignal(&queue->ntfn, NQ_BADGE | 1);
    } else {
        notification_ptr_set_ntfnQueue_head(ntfnPtr, addEntry(queue, cookie));
        sendSignal(&queue->ntfn, NQ_BADGE);
    }
}

void
sendAttachedSignal(notification_t *ntfnPtr, word_t badge)
{
    if (notification_ptr_get_attachedActive(ntfnPtr)) {
        badge |= notification_ptr_get_ntfnMsgIdentifier(ntfnPtr);
    }
    notification_ptr_set_ntfnMsgIdentifier(ntfnPtr, badge);
    notification_ptr_set_attachedActive(ntfnPtr, true);
    notifyQueue(ntfnPtr);
}

/* Takes the badges; the entry that tells of them stays. */
void
pollAttachedSignal(tcb_t *thread, notification_t *ntfnPtr)
{
    if (notification_ptr_get_attachedActive(ntfnPtr)) {
        setRegister(thread, badgeRegister, notification_ptr_get_ntfnMsgIdentifier(ntfnPtr));
        notification_ptr_set_attachedActive(ntfnPtr, false);
    } else {
        doNBRecvFailedTransfer(thread);
    }
}

/* ---- Receive ---- */

/* Takes out all entries. Badge and message for the collector: how many there
 * are, and the number of the first. */
static void
collect(notification_queue_t *queue, word_t *badge, word_t *first)
{
    *first = queue->ring.head;
    *badge = NQ_BADGE | nqCollect(&queue->ring);
    if (*badge != NQ_BADGE && unlikely(bufferBits(queue->buffer.cap) == 0)) {
        *badge |= NQ_OVERRUN;
    }
    if (notification_ptr_get_state(&queue->ntfn) == NtfnState_Active) {
        notification_ptr_set_state(&queue->ntfn, NtfnState_Idle);
    }
}

/* What one waits for: a signal to the thread's own bound notification, an entry
 * (which is told of, not collected) or a cookie that is handed over. */
static void
waitForQueue(tcb_t *thread, notification_queue_t *queue, cap_t cap)
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

/* False if the thread may not wait here; then it faults. */
bool_t
receiveQueue(tcb_t *thread, cap_t cap, bool_t isBlocking)
{
    notification_queue_t *queue = queueOf(cap);
    tcb_t *boundTCB = TCB_PTR(notification_ptr_get_ntfnBoundTCB(&queue->ntfn));
    word_t badge, first;

    if (!cap_notification_queue_cap_get_capNQCanWait(cap) || (boundTCB && boundTCB != thread)) {
        return false;
    }
    if (isBlocking) {
        waitForQueue(thread, queue, cap);
    } else {
        collect(queue, &badge, &first);
        setMessage(thread, badge, first);
    }
    return true;
}

/* ---- Delete ---- */

void
detachNotification(notification_t *ntfnPtr)
{
    cteDeleteOne(NTFN_ATTACHMENT(ntfnPtr));
}

/* A slot is about to be emptied. If it is that of an attachment, settle the
 * queue's counts and make its notification an ordinary one again. The queue is
 * still there: this cap was one to it. */
void
deletingAttachment(cte_t *slot)
{
    notification_t *ntfnPtr;

    if (cap_get_capType(slot->cap) != cap_notification_queue_cap ||
            !cap_notification_queue_cap_get_capNQIsAttachment(slot->cap)) {
        return;
    }
    ntfnPtr = (notification_t *)slot - 1;
    nqDetach(&queueOf(slot->cap)->ring, notification_ptr_get_ntfnQueue_head(ntfnPtr));
    /* The word is again the first waiter's, of which there is none. */
    notification_ptr_set_ntfnQueue_head(ntfnPtr, 0);
    notification_ptr_set_state(ntfnPtr, notification_ptr_get_attachedActive(ntfnPtr) ?
                               NtfnState_Active : NtfnState_Idle);
    notification_ptr_set_attachedActive(ntfnPtr, false);
}

/* The last cap to a queue goes, so nothing is attached any more, or the last
 * attachment is just going. Deepest nesting: notification, attachment, queue,
 * frame. */
void
finaliseQueue(notification_queue_t *queue)
{
    unbindMaybeNotification(&queue->ntfn);
    cancelAllSignals(&queue->ntfn);
    cteDeleteOne(&queue->buffer);
}

/* ---- Invoke ---- */

/* An error of a decode. Which cap was wrong (0: the queue's) is said for
 * InvalidCapability only, how much memory is left for NotEnoughMemory only. */
static exception_t
refuse(seL4_Error error, word_t capNumber)
{
    current_syscall_error.type = error;
    current_syscall_error.invalidCapNumber = capNumber;
    current_syscall_error.memoryLeft = 0;
    return EXCEPTION_SYSCALL_ERROR;
}

static exception_t
invokeAttach(notification_queue_t *queue, cte_t *slot, notification_t *ntfnPtr, word_t cookie)
{
    bool_t active = notification_ptr_get_state(ntfnPtr) == NtfnState_Active;

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

static exception_t
decodeAttach(word_t length, cte_t *slot, notification_queue_t *queue, notification_t *ntfnPtr,
             word_t *buffer)
{
    if (length < 1) {
        userError("NotificationQueue Attach: Truncated message.");
        return refuse(seL4_TruncatedMessage, 0);
    }
    if (isAttached(ntfnPtr) || notification_ptr_get_state(ntfnPtr) == NtfnState_Waiting ||
            notification_ptr_get_ntfnBoundTCB(ntfnPtr)) {
        userError("NotificationQueue Attach: The notification is attached, waited for or bound.");
        return refuse(seL4_IllegalOperation, 0);
    }
    if (!nqFits(&queue->ring, 1, bufferBits(queue->buffer.cap))) {
        userError("NotificationQueue Attach: The buffer has no room for another notification.");
        return refuse(seL4_NotEnoughMemory, 0);
    }
    setThreadState(NODE_STATE(ksCurThread), ThreadState_Restart);
    return invokeAttach(queue, slot, ntfnPtr, getSyscallArg(0, buffer));
}

static exception_t
decodeDetach(notification_queue_t *queue, notification_t *ntfnPtr)
{
    if (!isAttached(ntfnPtr) || queueOf(NTFN_ATTACHMENT(ntfnPtr)->cap) != queue) {
        userError("NotificationQueue Detach: The notification is not attached to this queue.");
        return refuse(seL4_IllegalOperation, 0);
    }
    setThreadState(NODE_STATE(ksCurThread), ThreadState_Restart);
    detachNotification(ntfnPtr);
    return EXCEPTION_NONE;
}

/* The collected run lies in the old buffer. */
static exception_t
invokeSetBuffer(notification_queue_t *queue, cap_t frameCap, cte_t *frameSlot, bool_t call)
{
    tcb_t *thread = NODE_STATE(ksCurThread);
    word_t badge, first;

    collect(queue, &badge, &first);
    cteDeleteOne(&queue->buffer);
    cteInsert(frameCap, frameSlot, &queue->buffer);
    bufferWords(frameCap)[0] = queue->ring.tail;
    if (call) {
        setMessage(thread, badge, first);
    }
    /* There is a reply already. */
    setThreadState(thread, ThreadState_Running);
    return EXCEPTION_NONE;
}

static exception_t
decodeSetBuffer(notification_queue_t *queue, cte_t *frameSlot, bool_t call)
{
    cap_t frameCap = frameSlot->cap;
    word_t bits = bufferBits(frameCap);
    deriveCap_ret_t dc_ret;

    if ((bits != NQ_SMALL_BITS && bits != NQ_LARGE_BITS) ||
            cap_frame_cap_get_capFIsDevice(frameCap) ||
            cap_frame_cap_get_capFVMRights(frameCap) != VMReadWrite) {
        userError("NotificationQueue SetBuffer: Not a read-write 4K or 2M frame of ordinary memory.");
        return refuse(seL4_InvalidCapability, 1);
    }
    /* Not nqFits: what is stale now will have been collected. */
    if (queue->ring.attached > nqSlots(bits) / 2) {
        userError("NotificationQueue SetBuffer: The frame is too small for what is attached.");
        return refuse(seL4_NotEnoughMemory, 0);
    }
    dc_ret = deriveCap(frameSlot, frameCap);
    if (dc_ret.status != EXCEPTION_NONE) {
        return dc_ret.status;
    }
    setThreadState(NODE_STATE(ksCurThread), ThreadState_Restart);
    return invokeSetBuffer(queue, dc_ret.cap, frameSlot, call);
}

exception_t
decodeNotificationQueueInvocation(word_t invLabel, word_t length, cte_t *slot, cap_t cap,
                                  extra_caps_t excaps, bool_t call, word_t *buffer)
{
    notification_queue_t *queue = queueOf(cap);
    notification_t *ntfnPtr;
    cap_t ntfnCap;

    if (invLabel < NotificationQueueAttach || invLabel > NotificationQueueSetBuffer) {
        userError("NotificationQueue: Illegal operation attempted.");
        return refuse(seL4_IllegalOperation, 0);
    }
    if (!cap_notification_queue_cap_get_capNQCanManage(cap)) {
        userError("NotificationQueue: The cap lacks the write (manage) right.");
        return refuse(seL4_InvalidCapability, 0);
    }
    if (excaps.excaprefs[0] == NULL) {
        userError("NotificationQueue: Truncated message.");
        return refuse(seL4_TruncatedMessage, 0);
    }
    if (invLabel == NotificationQueueSetBuffer) {
        return decodeSetBuffer(queue, excaps.excaprefs[0], call);
    }

    ntfnCap = excaps.excaprefs[0]->cap;
    if (cap_get_capType(ntfnCap) != cap_notification_cap ||
            !cap_notification_cap_get_capNtfnCanReceive(ntfnCap)) {
        userError("NotificationQueue: Not a notification cap with the read (receive) right.");
        return refuse(seL4_InvalidCapability, 1);
    }
    ntfnPtr = NTFN_PTR(cap_notification_cap_get_capNtfnPtr(ntfnCap));
    if (invLabel == NotificationQueueAttach) {
        return decodeAttach(length, slot, queue, ntfnPtr, buffer);
    }
    return decodeDetach(queue, ntfnPtr);
}

#endif /* CONFIG_ARCH_X86_64 */
