/* SPDX-License-Identifier: GPL-2.0-only */

#ifndef __OBJECT_NOTIFICATIONQUEUE_H
#define __OBJECT_NOTIFICATIONQUEUE_H

#include <config.h>
#include <types.h>
#include <api/failures.h>
#include <object/structures.h>

#ifdef CONFIG_ARCH_X86_64

#include <object/nqring.h>

/* What receivers get as a badge: the low bits count entries */
#define NQ_BADGE   BIT(63) /* from a queue */
#define NQ_OVERRUN BIT(62) /* entries were counted, but there was no buffer */

/* A queue is a notification, on which threads wait and to which one is bound,
 * with the slot of its attachment as every notification has, and a ring of
 * entries in a frame of the user's. */
struct notification_queue {
    notification_t ntfn;
    cte_t attachment; /* to the outer queue, or null */
    cte_t buffer;     /* the frame, or null */
    nq_ring_t ring;
};
typedef struct notification_queue notification_queue_t;

#define NQ_PTR(r) ((notification_queue_t *)(r))
#define NQ_REF(p) ((word_t)(p))

/* The slot behind every notification. While the notification is attached it
 * holds a queue cap, with the cookie in it: deriving that cap attached the
 * notification, and deleting it, for whatever reason, detaches it. */
#define NTFN_ATTACHMENT(p) ((cte_t *)((notification_t *)(p) + 1))

compile_assert(attached_notification_size_sane,
               sizeof(notification_t) + sizeof(cte_t) <= (1 << seL4_NotificationBits))
compile_assert(notification_queue_size_sane,
               sizeof(notification_queue_t) <= (1 << seL4_NotificationQueueBits))

static inline bool_t isAttached(notification_t *ntfnPtr)
{
    return notification_ptr_get_state(ntfnPtr) == NtfnState_Attached;
}

static inline bool_t CONST isAttachment(cap_t cap)
{
    return cap_get_capType(cap) == cap_notification_queue_cap &&
           cap_notification_queue_cap_get_capNQIsAttachment(cap);
}

/* A queue cap as a cap to the notification that the queue starts with; any
 * other cap as it is. Nobody can signal through it. */
static inline cap_t CONST queueNotificationCap(cap_t cap)
{
    if (cap_get_capType(cap) == cap_notification_queue_cap) {
        return cap_notification_cap_new(0, cap_notification_queue_cap_get_capNQCanWait(cap), false,
                                        cap_notification_queue_cap_get_capNQPtr(cap));
    }
    return cap;
}

static inline bool_t CONST sameQueue(cap_t cap_a, cap_t cap_b)
{
    return cap_get_capType(cap_b) == cap_notification_queue_cap &&
           cap_notification_queue_cap_get_capNQPtr(cap_a) == cap_notification_queue_cap_get_capNQPtr(cap_b);
}

/* The read right is to wait, the write right to manage */
static inline cap_t CONST maskQueueCapRights(seL4_CapRights_t rights, cap_t cap)
{
    cap = cap_notification_queue_cap_set_capNQCanWait(
              cap, cap_notification_queue_cap_get_capNQCanWait(cap) & seL4_CapRights_get_capAllowRead(rights));
    return cap_notification_queue_cap_set_capNQCanManage(
               cap, cap_notification_queue_cap_get_capNQCanManage(cap) & seL4_CapRights_get_capAllowWrite(rights));
}

void sendAttachedSignal(notification_t *ntfnPtr, word_t badge);
void receiveAttachedSignal(tcb_t *thread, notification_t *ntfnPtr, bool_t isBlocking);
bool_t receiveQueue(cap_t cap, bool_t isBlocking);
void threadEnded(tcb_t *tcb);
void deletingThread(tcb_t *tcb);
void deletingNotification(cap_t cap);
void deletingAttachment(cte_t *slot);
exception_t decodeNotificationQueueInvocation(word_t invLabel, word_t length, cte_t *slot, cap_t cap,
                                              extra_caps_t excaps, bool_t call, word_t *buffer);

#else /* !CONFIG_ARCH_X86_64 */

/* A cap of another machine has no room for a pointer and a cookie: there are no
 * queues, nothing is ever attached, and no cap has this tag. */
#define cap_notification_queue_cap BIT(8)

static inline bool_t isAttached(notification_t *ntfnPtr) { return false; }
static inline bool_t isAttachment(cap_t cap) { return false; }
static inline cap_t queueNotificationCap(cap_t cap) { return cap; }
static inline bool_t sameQueue(cap_t cap_a, cap_t cap_b) { return false; }
static inline cap_t maskQueueCapRights(seL4_CapRights_t rights, cap_t cap) { return cap; }
static inline void sendAttachedSignal(notification_t *ntfnPtr, word_t badge) {}
static inline void receiveAttachedSignal(tcb_t *thread, notification_t *ntfnPtr, bool_t isBlocking) {}
static inline bool_t receiveQueue(cap_t cap, bool_t isBlocking) { return false; }
static inline void threadEnded(tcb_t *tcb) {}
static inline void deletingThread(tcb_t *tcb) {}
static inline void deletingNotification(cap_t cap) {}
static inline void deletingAttachment(cte_t *slot) {}
#define decodeNotificationQueueInvocation(...) EXCEPTION_SYSCALL_ERROR

#endif /* CONFIG_ARCH_X86_64 */

#endif
