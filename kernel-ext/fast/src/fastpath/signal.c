/* SPDX-License-Identifier: GPL-2.0-only */

/*
 * Optional fast path for signal, poll and wait, of notifications and of queues.
 *
 * As the fast path for IPC: what is not decided here goes to the slow path, and
 * nothing is changed before. Who signals may wake a thread of higher priority,
 * who waits goes over to the next in the ready queues; both switch directly. A
 * signal that does not switch is left to sendSignal, and saves the decoding, the
 * scheduler and most of the way back.
 */

#include <config.h>
#include <fastpath/fastpath.h>
#include <fastpath/signal.h>
#include <kernel/thread.h>
#include <object/notification.h>
#include <object/notificationqueue.h>

/* Whether it is a cap of this type with the read right. The fields are next to
 * each other, so they can be checked in parallel. */
static inline bool_t CONST isReceiveCap_fp(cap_t cap, word_t type)
{
    return cap.words[0] >> 58 == (type << 1 | 1);
}

/* Of a cap to a notification or queue. The kernel is at the top of memory: all
 * high bits are set. */
static inline notification_t *CONST notificationOf_fp(cap_t cap)
{
    return NTFN_PTR(cap.words[0] | ~MASK(48));
}

static inline cap_t FORCE_INLINE lookupOwn_fp(word_t cptr)
{
    return lookup_fp(TCB_PTR_CTE_PTR(NODE_STATE(ksCurThread), tcbCTable)->cap, cptr);
}

static inline bool_t isBoundToOther_fp(notification_t *ntfnPtr, tcb_t *thread)
{
    tcb_t *boundTCB = TCB_PTR(notification_ptr_get_ntfnBoundTCB(ntfnPtr));

    return boundTCB && boundTCB != thread;
}

/* Back to the current thread. The address space, FS, GS and the FPU are still its own. */
static inline void NORETURN FORCE_INLINE resume_fp(word_t badge, word_t msgInfo, tcb_t *thread)
{
    if (config_set(CONFIG_SYSENTER)) {
        fastpath_restore(badge, msgInfo, thread);
    }
    NODE_UNLOCK;
    c_exit_hook();
    SMP_COND_STATEMENT(swapgs();)
    asm volatile(
        "movq %0, %%rsp\n"
        "popq %%rax\n"
        "popq %%rbx\n"
        "popq %%rbp\n"
        "popq %%r12\n"
        "popq %%r13\n"
        "popq %%r14\n"
        "popq %%rdx\n"
        "popq %%r10\n"
        "popq %%r8\n"
        "popq %%r9\n"
        "popq %%r15\n"
        "popq %%r11\n" /* RFLAGS */
        "popq %%rcx\n" /* NextIP */
        "xor %%rsp, %%rsp\n"
        "rex.w sysret\n"
        :
        : "r"(&thread->tcbArch.tcbContext.registers[RAX]),
        "D" (badge),
        "S" (msgInfo)
        : "memory"
    );
    UNREACHABLE();
}

/* Whether a thread that is runnable can be gone over to from here: it has an
 * address space, came into the kernel by a system call, and runs on this core. */
static inline bool_t FORCE_INLINE canSwitchTo_fp(tcb_t *thread)
{
    return isValidVTableRoot_fp(TCB_PTR_CTE_PTR(thread, tcbVTable)->cap)
           && getRegister(thread, Error) == (word_t)-1
           && !(maxDom && thread->tcbDomain != ksCurDomain)
           SMP_COND_STATEMENT( && thread->tcbAffinity == getCurrentCPUIndex());
}

/* It is in no ready queue. */
static inline void NORETURN FORCE_INLINE switchTo_fp(tcb_t *thread, word_t badge, word_t msgInfo)
{
    cap_t vtable = TCB_PTR_CTE_PTR(thread, tcbVTable)->cap;
    pde_t asid;

    asid.words[0] = cap_pml4_cap_get_capPML4MappedASID_fp(vtable);
    switchToThread_fp(thread, cap_vtable_cap_get_vspace_root_fp(vtable), asid);
    fastpath_restore(badge, msgInfo, thread);
}

/* ---- Signal ---- */

/* The first waiter, if it would run at once; else NULL */
static inline tcb_t *FORCE_INLINE waiterToRun_fp(notification_t *ntfnPtr)
{
    tcb_t *dest = TCB_PTR(notification_ptr_get_ntfnQueue_head(ntfnPtr));

    return notification_ptr_get_state(ntfnPtr) == NtfnState_Waiting
           && dest->tcbPriority > NODE_STATE(ksCurThread)->tcbPriority
           && canSwitchTo_fp(dest) ? dest : NULL;
}

static inline void NORETURN FORCE_INLINE wake_fp(notification_t *ntfnPtr, tcb_t *dest, word_t badge,
                                                 word_t msgInfo)
{
    notification_ptr_set_ntfnQueue_head(ntfnPtr, TCB_REF(dest->tcbEPNext));
    if (unlikely(dest->tcbEPNext)) {
        dest->tcbEPNext->tcbEPPrev = NULL;
    } else {
        /* This is the tail, too. What is waited for is not attached. */
        ntfnPtr->words[0] = NtfnState_Idle;
    }
    thread_state_ptr_set_tsType_np(&dest->tcbState, ThreadState_Running);
    SCHED_ENQUEUE_CURRENT_TCB;
    switchTo_fp(dest, badge, msgInfo);
}

/* Hands the cookie over if a waiter of the queue would run at once; else does nothing */
static inline void FORCE_INLINE handOver_fp(notification_t *ntfnPtr, word_t badge)
{
    cap_t attachment = NTFN_ATTACHMENT(ntfnPtr)->cap;
    notification_queue_t *queue = NQ_PTR(notificationOf_fp(attachment));
    tcb_t *dest = waiterToRun_fp(&queue->ntfn);

    /* Nobody waits while there are entries: none is outstanding. */
    if (!dest) {
        return;
    }
    if (notification_ptr_get_attachedActive(ntfnPtr)) {
        badge |= notification_ptr_get_ntfnMsgIdentifier(ntfnPtr);
    }
    notification_ptr_set_ntfnMsgIdentifier(ntfnPtr, badge);
    notification_ptr_set_attachedActive(ntfnPtr, true);
    setRegister(dest, msgRegisters[0], cap_notification_queue_cap_get_capNQCookie(attachment));
    setRegister(dest, msgRegisters[1], 0);
    wake_fp(&queue->ntfn, dest, NQ_BADGE | 1, wordFromMessageInfo(seL4_MessageInfo_new(0, 0, 0, 1)));
}

void fastpath_signal(word_t cptr, word_t msgInfo)
{
    cap_t cap = lookupOwn_fp(cptr);
    notification_t *ntfnPtr = notificationOf_fp(cap);
    word_t badge;
    tcb_t *dest;

    /* Caps in the message are looked up, which may fault. */
    if (unlikely(fastpath_mi_check(msgInfo) || !cap_capType_equals(cap, cap_notification_cap)
                 || !cap_notification_cap_get_capNtfnCanSend(cap))) {
        slowpath(SysSend);
    }
    badge = cap_notification_cap_get_capNtfnBadge(cap);
    if (isAttached(ntfnPtr)) {
        handOver_fp(ntfnPtr, badge);
    } else {
        dest = waiterToRun_fp(ntfnPtr);
        if (dest) {
            wake_fp(ntfnPtr, dest, badge, getRegister(dest, msgInfoRegister));
        }
    }
    sendSignal(ntfnPtr, badge);
    if (likely(NODE_STATE(ksSchedulerAction) == SchedulerAction_ResumeCurrentThread
               SMP_COND_STATEMENT( && !ARCH_NODE_STATE(ipiReschedulePending)))) {
        resume_fp(cptr, msgInfo, NODE_STATE(ksCurThread));
    }
    schedule();
    activateThread();
    restore_user_context();
}

/* ---- Poll ---- */

/* Takes the badges, 0 if there are none */
static inline word_t FORCE_INLINE takeBadges_fp(notification_t *ntfnPtr)
{
    switch (notification_ptr_get_state(ntfnPtr)) {
    case NtfnState_Active:
        notification_ptr_set_state(ntfnPtr, NtfnState_Idle);
        return notification_ptr_get_ntfnMsgIdentifier(ntfnPtr);
    case NtfnState_Attached:
        if (notification_ptr_get_attachedActive(ntfnPtr)) {
            notification_ptr_set_attachedActive(ntfnPtr, false);
            return notification_ptr_get_ntfnMsgIdentifier(ntfnPtr);
        }
    }
    return 0;
}

static inline word_t FORCE_INLINE collect_fp(tcb_t *thread, notification_queue_t *queue)
{
    setRegister(thread, msgRegisters[0], queue->ring.head);
    if (notification_ptr_get_state(&queue->ntfn) == NtfnState_Active) {
        notification_ptr_set_state(&queue->ntfn, NtfnState_Idle);
    }
    notification_ptr_set_attachedActive(&queue->ntfn, false);
    return NQ_BADGE | nqCollect(&queue->ring);
}

void fastpath_poll(word_t cptr, word_t msgInfo)
{
    tcb_t *thread = NODE_STATE(ksCurThread);
    cap_t cap = lookupOwn_fp(cptr);
    notification_t *ntfnPtr = notificationOf_fp(cap);

    if (likely(isReceiveCap_fp(cap, cap_notification_cap))) {
        if (likely(!isBoundToOther_fp(ntfnPtr, thread))) {
            resume_fp(takeBadges_fp(ntfnPtr), msgInfo, thread);
        }
    } else if (likely(isReceiveCap_fp(cap, cap_notification_queue_cap))) {
        /* Without a buffer there may be an overrun to report. */
        if (likely(!isBoundToOther_fp(ntfnPtr, thread)
                   && cap_get_capType(NQ_PTR(ntfnPtr)->buffer.cap) == cap_frame_cap)) {
            resume_fp(collect_fp(thread, NQ_PTR(ntfnPtr)),
                      wordFromMessageInfo(seL4_MessageInfo_new(0, 0, 0, 1)), thread);
        }
    }
    slowpath(SysNBRecv);
}

/* ---- Wait ---- */

/* The thread that schedule would choose, NULL if it cannot be gone over to */
static inline tcb_t *FORCE_INLINE nextThread_fp(void)
{
    word_t l1index, l2index;
    tcb_t *next;

    if (CONFIG_NUM_DOMAINS > 1 || unlikely(!NODE_STATE(ksReadyQueuesL1Bitmap[0]))) {
        return NULL;
    }
    l1index = (wordBits - 1) - clzl(NODE_STATE(ksReadyQueuesL1Bitmap[0]));
    l2index = (wordBits - 1) - clzl(NODE_STATE(ksReadyQueuesL2Bitmap[0][l1index]));
    next = NODE_STATE(ksReadyQueues[ready_queues_index(0, l1index_to_prio(l1index) | l2index)]).head;
    return thread_state_get_tsType(next->tcbState) == ThreadState_Running
           && canSwitchTo_fp(next) ? next : NULL;
}

/* Does nothing if the next thread cannot be gone over to */
static inline void FORCE_INLINE block_fp(notification_t *ntfnPtr, tcb_t *thread, word_t tsType)
{
    tcb_t *next = nextThread_fp();
    tcb_t *tail = TCB_PTR(notification_ptr_get_ntfnQueue_tail(ntfnPtr));

    if (unlikely(!next)) {
        return;
    }
    thread_state_ptr_mset_blockingObject_tsType(&thread->tcbState, NTFN_REF(ntfnPtr), tsType);
    if (likely(!tail)) {
        notification_ptr_set_ntfnQueue_head(ntfnPtr, TCB_REF(thread));
    } else {
        tail->tcbEPNext = thread;
    }
    thread->tcbEPPrev = tail;
    thread->tcbEPNext = NULL;
    notification_ptr_set_ntfnQueue_tail(ntfnPtr, TCB_REF(thread));
    notification_ptr_set_state(ntfnPtr, NtfnState_Waiting);
    tcbSchedDequeue(next);
    switchTo_fp(next, getRegister(next, badgeRegister), getRegister(next, msgInfoRegister));
}

void fastpath_wait(word_t cptr, word_t msgInfo)
{
    tcb_t *thread = NODE_STATE(ksCurThread);
    cap_t cap = lookupOwn_fp(cptr);
    notification_t *ntfnPtr = notificationOf_fp(cap);

    if (likely(isReceiveCap_fp(cap, cap_notification_cap))) {
        if (unlikely(isBoundToOther_fp(ntfnPtr, thread))) {
            slowpath(SysRecv);
        }
        if (notification_ptr_get_state(ntfnPtr) == NtfnState_Active) {
            notification_ptr_set_state(ntfnPtr, NtfnState_Idle);
            resume_fp(notification_ptr_get_ntfnMsgIdentifier(ntfnPtr), msgInfo, thread);
        }
        if (likely(!isAttached(ntfnPtr))) {
            block_fp(ntfnPtr, thread, ThreadState_BlockedOnNotification);
        }
    } else if (likely(isReceiveCap_fp(cap, cap_notification_queue_cap))) {
        notification_t *bound = thread->tcbBoundNotification;

        if (unlikely(isBoundToOther_fp(ntfnPtr, thread) || isAttached(ntfnPtr)
                     || (bound && notification_ptr_get_state(bound) == NtfnState_Active))) {
            slowpath(SysRecv);
        }
        if (NQ_PTR(ntfnPtr)->ring.tail != NQ_PTR(ntfnPtr)->ring.head) {
            resume_fp(NQ_BADGE, msgInfo, thread);
        }
        block_fp(ntfnPtr, thread, ThreadState_BlockedOnNotificationQueue);
    }
    slowpath(SysRecv);
}
