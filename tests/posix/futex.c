// SPDX-License-Identifier: BSD-2-Clause
// futex(2) by number, as C libraries and languages call it.
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "harness.h"
#include "helpers.h"
#include "thread.h"

static long futex(void *word, int operation, uint32_t value, const void *timeout, void *other,
                  uint32_t last)
{
    return syscall(SYS_futex, word, operation, value, timeout, other, last);
}

static uint32_t word, second;

CHECK(futex, wait_other_value, "FUTEX_WAIT does not wait if the word has another value")
{
    word = 1;
    EXPECT_ERRNO(futex(&word, FUTEX_WAIT, 2, NULL, NULL, 0), EAGAIN);
    EXPECT_ERRNO(futex(&word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0), EAGAIN);
}

CHECK(futex, wait_timeout, "FUTEX_WAIT's timeout is relative, and it never returns early")
{
    word = 0;
    const struct timespec time = timespec_of(MS(20));
    const int64_t start = now_ns();
    EXPECT_ERRNO(futex(&word, FUTEX_WAIT_PRIVATE, 0, &time, NULL, 0), ETIMEDOUT);
    EXPECT_AT_LEAST(now_ns() - start, MS(20));
}

CHECK(futex, wait_bitset_timeout, "FUTEX_WAIT_BITSET's timeout is a point of the chosen clock")
{
    word = 0;
    const int64_t start = now_ns();
    const struct timespec until = timespec_of(start + MS(20));
    EXPECT_ERRNO(futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, &until, NULL, FUTEX_BITSET_MATCH_ANY),
                 ETIMEDOUT);
    EXPECT_AT_LEAST(now_ns() - start, MS(20));
    const struct timespec real = realtime_in(MS(20));
    const int64_t again = now_ns();
    EXPECT_ERRNO(futex(&word, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 0, &real, NULL,
                       FUTEX_BITSET_MATCH_ANY),
                 ETIMEDOUT);
    EXPECT_AT_LEAST(now_ns() - again, MS(19));
}

CHECK(futex, errors, "wrong addresses, sets and operations")
{
    EXPECT_ERRNO(futex((char *)&word + 1, FUTEX_WAIT, 0, NULL, NULL, 0), EINVAL);
    EXPECT_ERRNO(futex((char *)&word + 2, FUTEX_WAKE, 1, NULL, NULL, 0), EINVAL);
    EXPECT_ERRNO(futex(&word, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0), EINVAL);
    EXPECT_ERRNO(futex(&word, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0), EINVAL);
    EXPECT_ERRNO(futex(&word, 77, 0, NULL, NULL, 0), ENOSYS);
    EXPECT_ERRNO(futex(NULL, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
    const struct timespec wrong = {.tv_nsec = 1000000000};
    EXPECT_ERRNO(futex(&word, FUTEX_WAIT, word, &wrong, NULL, 0), EINVAL);
}

CHECK(futex, wake_nobody, "waking where nobody waits wakes none")
{
    EXPECT_EQ(futex(&word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0), 0);
    EXPECT_EQ(futex(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 0);
}

static int woken;

static void *waits(void *at)
{
    while (__atomic_load_n((uint32_t *)at, __ATOMIC_SEQ_CST) == 0)
        futex(at, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    __atomic_fetch_add(&woken, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

// Wakes until `count` have been: a thread may not have begun to wait.
static void wake_all(uint32_t *at, int count)
{
    __atomic_store_n(at, 1, __ATOMIC_SEQ_CST);
    int all = 0;
    while (__atomic_load_n(&woken, __ATOMIC_SEQ_CST) < count) {
        const long n = OK(futex(at, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0));
        all += (int)n;
        EXPECT(all <= count);
        sched_yield();
    }
}

CHECK(futex, wake_counts, "FUTEX_WAKE tells how many it woke, at most as many as it is told")
{
    pthread_t threads[4];
    word = 0;
    woken = 0;
    for (int i = 0; i < 4; i++)
        threads[i] = started(waits, &word);
    wake_all(&word, 4);
    for (int i = 0; i < 4; i++)
        joined(threads[i]);
}

static void *waits_for_bit(void *bit)
{
    return (void *)(intptr_t)futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL,
                                   (uint32_t)(intptr_t)bit);
}

CHECK(futex, bitset, "FUTEX_WAKE_BITSET wakes only those whose sets meet its own")
{
    word = 0;
    pthread_t one = started(waits_for_bit, (void *)1), two = started(waits_for_bit, (void *)2);
    // Both have to wait before the wake-ups count.
    while (OK(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 1, NULL, NULL, 2)) != 1)
        sched_yield();
    EXPECT_EQ((intptr_t)joined(two), 0);
    EXPECT_EQ(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL, NULL, 4), 0);
    while (OK(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 1, NULL, NULL, 3)) != 1)
        sched_yield();
    EXPECT_EQ((intptr_t)joined(one), 0);
}

static void *waits_any(void *unused)
{
    (void)unused;
    return (void *)(intptr_t)futex(&word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

CHECK(futex, requeue, "FUTEX_CMP_REQUEUE wakes some and lets others wait for another word")
{
    word = second = 0;
    EXPECT_ERRNO(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)1, &second, 5), EAGAIN);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        threads[i] = started(waits_any, NULL);
    int moved = 0;
    while (moved < 3) {
        const long n =
            OK(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 0, (void *)INT_MAX, &second, 0));
        moved += (int)n;
        sched_yield();
    }
    EXPECT_EQ(futex(&word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0), 0);
    EXPECT_EQ(futex(&second, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 1);
    EXPECT_EQ(futex(&second, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0), 2);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ((intptr_t)joined(threads[i]), 0);
}
