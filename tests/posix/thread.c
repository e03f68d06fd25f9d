// SPDX-License-Identifier: BSD-2-Clause
// Threads: beginning and end, what is each one's own, and what they wait for together.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "harness.h"
#include "helpers.h"
#include "thread.h"

static void *same(void *argument)
{
    return argument;
}

CHECK(thread, join_value, "pthread_join gives what the thread returned")
{
    int x;
    EXPECT(joined(started(same, &x)) == &x);
}

static void *leaves(void *argument)
{
    pthread_exit(argument);
}

CHECK(thread, exit_value, "pthread_join gives what the thread gave to pthread_exit")
{
    int x;
    EXPECT(joined(started(leaves, &x)) == &x);
}

CHECK(thread, many_one_after_another, "a thousand threads one after another")
{
    for (intptr_t i = 0; i < 1000; i++)
        EXPECT_EQ((intptr_t)joined(started(same, (void *)i)), i);
}

static sem_t gate;

static void *waits_at_gate(void *argument)
{
    sem_wait(&gate);
    return argument;
}

CHECK(thread, many_at_once, "a hundred threads at a time")
{
    pthread_t threads[100];
    sem_init(&gate, 0, 0);
    for (intptr_t i = 0; i < 100; i++)
        threads[i] = started(waits_at_gate, (void *)i);
    for (int i = 0; i < 100; i++)
        sem_post(&gate);
    for (intptr_t i = 0; i < 100; i++)
        EXPECT_EQ((intptr_t)joined(threads[i]), i);
}

static __thread int own = 5;
static __thread char zeroed[1000];

static void *changes_own(void *argument)
{
    const int before = own;
    own = 6;
    memset(zeroed, 1, sizeof zeroed);
    return (void *)(intptr_t)(before == 5 && argument != &own);
}

CHECK(thread, thread_locals, "thread-local variables start anew and are each thread's own")
{
    EXPECT_EQ((intptr_t)joined(started(changes_own, &own)), 1);
    EXPECT_EQ((intptr_t)joined(started(changes_own, &own)), 1);
    EXPECT_EQ(own, 5);
    EXPECT_EQ(zeroed[999], 0);
}

static void *sets_errno(void *unused)
{
    errno = 0;
    close(-1);
    return (void *)(intptr_t)(errno == EBADF && unused == NULL);
}

CHECK(thread, errno_is_own, "errno is each thread's own")
{
    errno = ENOTDIR;
    EXPECT_EQ((intptr_t)joined(started(sets_errno, NULL)), 1);
    EXPECT_EQ(errno, ENOTDIR);
}

static void *tells_id(void *unused)
{
    (void)unused;
    return (void *)(intptr_t)syscall(SYS_gettid);
}

CHECK(thread, ids, "the first thread's id is the process's, the others' are different")
{
    EXPECT_EQ(syscall(SYS_gettid), getpid());
    pthread_t two[2];
    sem_init(&gate, 0, 0);
    for (int i = 0; i < 2; i++)
        two[i] = started(tells_id, NULL);
    const intptr_t first = (intptr_t)joined(two[0]), second = (intptr_t)joined(two[1]);
    EXPECT(first > 0 && second > 0 && first != getpid() && second != getpid());
}

CHECK(thread, equal_and_self, "pthread_self names the caller")
{
    EXPECT(pthread_equal(pthread_self(), pthread_self()));
    pthread_t other = started(same, NULL);
    EXPECT(!pthread_equal(other, pthread_self()));
    joined(other);
}

static void *reads_name(void *name)
{
    pthread_setname_np(pthread_self(), "renamed");
    pthread_getname_np(pthread_self(), name, 16);
    return NULL;
}

CHECK(thread, names, "a thread's name is its own")
{
    char mine[16], other[16] = "";
    OK(pthread_setname_np(pthread_self(), "first"));
    joined(started(reads_name, other));
    EXPECT_EQ(pthread_getname_np(pthread_self(), mine, sizeof mine), 0);
    EXPECT(strcmp(mine, "first") == 0);
    EXPECT(strcmp(other, "renamed") == 0);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int counter;

static void *counts(void *times)
{
    for (intptr_t i = 0; i < (intptr_t)times; i++) {
        pthread_mutex_lock(&mutex);
        const int before = counter;
        if (i % 64 == 0)
            sched_yield();
        counter = before + 1;
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

CHECK(thread, mutex_excludes, "a mutex lets one thread in at a time")
{
    pthread_t threads[8];
    counter = 0;
    for (int i = 0; i < 8; i++)
        threads[i] = started(counts, (void *)2000);
    for (int i = 0; i < 8; i++)
        joined(threads[i]);
    EXPECT_EQ(counter, 8 * 2000);
}

static void *tries_lock(void *lock)
{
    const int result = pthread_mutex_trylock(lock);
    if (result == 0)
        pthread_mutex_unlock(lock);
    return (void *)(intptr_t)result;
}

CHECK(thread, mutex_trylock, "trylock of a mutex that another thread holds is EBUSY")
{
    pthread_mutex_lock(&mutex);
    EXPECT_EQ((intptr_t)joined(started(tries_lock, &mutex)), EBUSY);
    pthread_mutex_unlock(&mutex);
    EXPECT_EQ((intptr_t)joined(started(tries_lock, &mutex)), 0);
}

CHECK(thread, mutex_timedlock, "timedlock gives up at its time, not before")
{
    pthread_mutex_lock(&mutex);
    struct timespec until = realtime_in(MS(30));
    const int64_t start = now_ns();
    pthread_mutex_t *held = &mutex;
    EXPECT_EQ(pthread_mutex_timedlock(held, &until), ETIMEDOUT);
    EXPECT_AT_LEAST(now_ns() - start, MS(29));
    pthread_mutex_unlock(&mutex);
}

static pthread_mutex_t of_type(int type, int robust)
{
    pthread_mutexattr_t attributes;
    pthread_mutex_t made;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, type);
    pthread_mutexattr_setrobust(&attributes, robust);
    pthread_mutex_init(&made, &attributes);
    return made;
}

CHECK(thread, mutex_recursive, "a recursive mutex is locked as often as it is unlocked")
{
    static pthread_mutex_t recursive;
    recursive = of_type(PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_STALLED);
    EXPECT_EQ(pthread_mutex_lock(&recursive), 0);
    EXPECT_EQ(pthread_mutex_lock(&recursive), 0);
    EXPECT_EQ(pthread_mutex_unlock(&recursive), 0);
    EXPECT_EQ((intptr_t)joined(started(tries_lock, &recursive)), EBUSY);
    EXPECT_EQ(pthread_mutex_unlock(&recursive), 0);
    EXPECT_EQ((intptr_t)joined(started(tries_lock, &recursive)), 0);
}

static void *locks_and_leaves(void *lock)
{
    return (void *)(intptr_t)pthread_mutex_lock(lock);
}

CHECK(thread, mutex_robust, "a robust mutex whose owner ended says EOWNERDEAD")
{
    static pthread_mutex_t robust;
    robust = of_type(PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST);
    EXPECT_EQ((intptr_t)joined(started(locks_and_leaves, &robust)), 0);
    EXPECT_EQ(pthread_mutex_lock(&robust), EOWNERDEAD);
    EXPECT_EQ(pthread_mutex_consistent(&robust), 0);
    EXPECT_EQ(pthread_mutex_unlock(&robust), 0);
}

static void *waits_for_change(void *from)
{
    pthread_mutex_lock(&mutex);
    while (counter == (intptr_t)from)
        pthread_cond_wait(&condition, &mutex);
    const intptr_t found = counter;
    pthread_mutex_unlock(&mutex);
    return (void *)found;
}

CHECK(thread, condition_signal, "a signalled condition wakes a thread that waits")
{
    counter = 0;
    for (intptr_t i = 0; i < 200; i++) {
        pthread_t thread = started(waits_for_change, (void *)i);
        if (i % 2)
            sched_yield();
        pthread_mutex_lock(&mutex);
        counter = i + 1;
        pthread_cond_signal(&condition);
        pthread_mutex_unlock(&mutex);
        EXPECT_EQ((intptr_t)joined(thread), i + 1);
    }
}

CHECK(thread, condition_broadcast, "a broadcast wakes all")
{
    pthread_t threads[10];
    counter = 0;
    for (int i = 0; i < 10; i++)
        threads[i] = started(waits_for_change, (void *)0);
    sched_yield();
    pthread_mutex_lock(&mutex);
    counter = 1;
    pthread_cond_broadcast(&condition);
    pthread_mutex_unlock(&mutex);
    for (int i = 0; i < 10; i++)
        EXPECT_EQ((intptr_t)joined(threads[i]), 1);
}

CHECK(thread, condition_timeout, "timedwait gives up at its time, not before, and holds the mutex again")
{
    pthread_mutex_lock(&mutex);
    struct timespec until = realtime_in(MS(30));
    const int64_t start = now_ns();
    EXPECT_EQ(pthread_cond_timedwait(&condition, &mutex, &until), ETIMEDOUT);
    EXPECT_AT_LEAST(now_ns() - start, MS(29));
    EXPECT_EQ((intptr_t)joined(started(tries_lock, &mutex)), EBUSY);
    pthread_mutex_unlock(&mutex);
}

static pthread_barrier_t barrier;

static void *meets(void *unused)
{
    (void)unused;
    return (void *)(intptr_t)pthread_barrier_wait(&barrier);
}

CHECK(thread, barrier_one_serial, "a barrier lets all go and tells one of them")
{
    pthread_t threads[5];
    for (int round = 0; round < 10; round++) {
        EXPECT_EQ(pthread_barrier_init(&barrier, NULL, 5), 0);
        for (int i = 0; i < 5; i++)
            threads[i] = started(meets, NULL);
        int serial = 0;
        for (int i = 0; i < 5; i++)
            serial += (intptr_t)joined(threads[i]) == PTHREAD_BARRIER_SERIAL_THREAD;
        EXPECT_EQ(serial, 1);
        EXPECT_EQ(pthread_barrier_destroy(&barrier), 0);
    }
}

static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;

static void *tries_both(void *unused)
{
    (void)unused;
    const int read = pthread_rwlock_tryrdlock(&rwlock) == 0;
    if (read)
        pthread_rwlock_unlock(&rwlock);
    const int write = pthread_rwlock_trywrlock(&rwlock) == 0;
    if (write)
        pthread_rwlock_unlock(&rwlock);
    return (void *)(intptr_t)(read + 2 * write);
}

CHECK(thread, rwlock_sharing, "readers share a lock, a writer has it alone")
{
    EXPECT_EQ((intptr_t)joined(started(tries_both, NULL)), 3);
    EXPECT_EQ(pthread_rwlock_rdlock(&rwlock), 0);
    EXPECT_EQ((intptr_t)joined(started(tries_both, NULL)), 1);
    EXPECT_EQ(pthread_rwlock_unlock(&rwlock), 0);
    EXPECT_EQ(pthread_rwlock_wrlock(&rwlock), 0);
    EXPECT_EQ((intptr_t)joined(started(tries_both, NULL)), 0);
    EXPECT_EQ(pthread_rwlock_unlock(&rwlock), 0);
}

static pthread_once_t once;

static void count_once(void)
{
    sched_yield();
    counter++;
}

static void *runs_once(void *unused)
{
    pthread_once(&once, count_once);
    return unused;
}

CHECK(thread, once_runs_once, "pthread_once runs its function once, and others wait for its end")
{
    pthread_t threads[5];
    counter = 0;
    once = PTHREAD_ONCE_INIT;
    for (int i = 0; i < 5; i++)
        threads[i] = started(runs_once, NULL);
    for (int i = 0; i < 5; i++)
        joined(threads[i]);
    EXPECT_EQ(counter, 1);
}

static pthread_key_t key;

static void counts_value(void *value)
{
    counter += (intptr_t)value;
}

static void *sets_key(void *value)
{
    const int empty = pthread_getspecific(key) == NULL;
    pthread_setspecific(key, value);
    return (void *)(intptr_t)empty;
}

CHECK(thread, key_destructors, "a key's values are each thread's own and are destroyed at its end")
{
    counter = 0;
    EXPECT_EQ(pthread_key_create(&key, counts_value), 0);
    EXPECT_EQ((intptr_t)joined(started(sets_key, (void *)3)), 1);
    EXPECT_EQ((intptr_t)joined(started(sets_key, (void *)4)), 1);
    EXPECT_EQ(counter, 7);
    EXPECT(pthread_getspecific(key) == NULL);
    EXPECT_EQ(pthread_key_delete(key), 0);
}

static void *posts(void *semaphore)
{
    sem_post(semaphore);
    return NULL;
}

CHECK(thread, detached, "detached threads end by themselves, and what they had is used again")
{
    sem_t ended;
    sem_init(&ended, 0, 0);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    for (int i = 0; i < 1000; i++) {
        pthread_t thread;
        EXPECT_EQ(pthread_create(&thread, &attributes, posts, &ended), 0);
        EXPECT_EQ(sem_wait(&ended), 0);
    }
}

CHECK(thread, stack_size, "a thread has the stack that was asked for")
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    EXPECT_EQ(pthread_attr_setstacksize(&attributes, 4 << 20), 0);
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, &attributes, uses_stack, (void *)(3 << 20)), 0);
    EXPECT_EQ((intptr_t)joined(thread), 3 << 20);
}

// --- cancellation -----------------------------------------------------------------------------

static void cleanup(void *value)
{
    counter = (intptr_t)value;
}

static void *blocks_in_read(void *fd)
{
    char byte;
    pthread_cleanup_push(cleanup, (void *)9);
    sem_post(&gate);
    if (read((int)(intptr_t)fd, &byte, 1) < 0)
        counter = -1;
    pthread_cleanup_pop(0);
    return NULL;
}

CHECK(thread, cancel_blocked, "a cancelled thread that blocks in read runs its clean-up and ends")
{
    struct ends p = new_pipe(0);
    counter = 0;
    sem_init(&gate, 0, 0);
    pthread_t thread = started(blocks_in_read, (void *)(intptr_t)p.r);
    sem_wait(&gate);
    sched_yield();
    EXPECT_EQ(pthread_cancel(thread), 0);
    EXPECT(joined(thread) == PTHREAD_CANCELED);
    EXPECT_EQ(counter, 9);
}

static void *tests_cancel(void *unused)
{
    (void)unused;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    sem_post(&gate);
    while (!__atomic_load_n(&counter, __ATOMIC_SEQ_CST))
        sched_yield();
    __atomic_store_n(&counter, 2, __ATOMIC_SEQ_CST);
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    pthread_testcancel();
    __atomic_store_n(&counter, 3, __ATOMIC_SEQ_CST);
    return NULL;
}

CHECK(thread, cancel_disabled, "a disabled cancellation waits until it is enabled")
{
    counter = 0;
    sem_init(&gate, 0, 0);
    pthread_t thread = started(tests_cancel, NULL);
    sem_wait(&gate);
    EXPECT_EQ(pthread_cancel(thread), 0);
    __atomic_store_n(&counter, 1, __ATOMIC_SEQ_CST);
    EXPECT(joined(thread) == PTHREAD_CANCELED);
    EXPECT_EQ(counter, 2);
}

static void unlocks(void *lock)
{
    pthread_mutex_unlock(lock);
}

static void *waits_on_condition(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&mutex);
    pthread_cleanup_push(unlocks, &mutex);
    sem_post(&gate);
    for (;;)
        pthread_cond_wait(&condition, &mutex);
    pthread_cleanup_pop(1);
    return NULL;
}

CHECK(thread, cancel_in_condition, "a thread cancelled in a condition wait has the mutex in its clean-up")
{
    sem_init(&gate, 0, 0);
    pthread_t thread = started(waits_on_condition, NULL);
    sem_wait(&gate);
    EXPECT_EQ(pthread_cancel(thread), 0);
    EXPECT(joined(thread) == PTHREAD_CANCELED);
    EXPECT_EQ((intptr_t)joined(started(tries_lock, &mutex)), 0);
}
