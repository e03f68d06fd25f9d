// SPDX-License-Identifier: BSD-2-Clause
// Memory that processes share, and what they wait for in it: futexes, mutexes, conditions, barriers, semaphores.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "helpers.h"
#include "process.h"
#include "thread.h"

enum { PAGE = 4096, ROUNDS = 200, CHILDREN = 3 };

struct shared {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    pthread_barrier_t barrier;
    sem_t first, second;
    atomic_uint word, other, ready;
    long count, turn;
};

static struct shared *share(void)
{
    struct shared *s = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s == MAP_FAILED)
        fail_errno(__FILE__, __LINE__, "mmap", errno);
    return s;
}

// A child that runs `work` on shared memory: its status is what that returns.
static pid_t forked(int (*work)(struct shared *), struct shared *s)
{
    const pid_t pid = OK(fork());
    if (pid == 0)
        _exit(work(s));
    return note_child(pid);
}

static long wait_for(atomic_uint *word, unsigned value, const struct timespec *limit)
{
    return syscall(SYS_futex, word, FUTEX_WAIT, value, limit, NULL, 0);
}

static long wake(atomic_uint *word, int most)
{
    return syscall(SYS_futex, word, FUTEX_WAKE, most, NULL, NULL, 0);
}

// --- memory -----------------------------------------------------------------------------------

static int changes(struct shared *s)
{
    s->count = 7;
    memcpy((char *)s + PAGE, "child", 6);
    return 0;
}

CHECK(memory, shared_anonymous, "MAP_SHARED | MAP_ANONYMOUS is one memory before and after fork, MAP_PRIVATE two")
{
    struct shared *s = share();
    long *private = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT(private != MAP_FAILED);
    const pid_t pid = OK(fork());
    if (pid == 0) {
        *private = 1;
        _exit(changes(s));
    }
    note_child(pid);
    EXPECT_EQ(ending(pid), 0);
    EXPECT_EQ(s->count, 7);
    EXPECT(strcmp((char *)s + PAGE, "child") == 0);
    EXPECT_EQ(*private, 0);
}

CHECK(memory, shared_protection, "shared memory may begin without access; madvise(MADV_DONTNEED) leaves it as it is")
{
    struct shared *s = mmap(NULL, 2 * PAGE, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    EXPECT(s != MAP_FAILED);
    OK(mprotect(s, 2 * PAGE, PROT_READ | PROT_WRITE));
    EXPECT_EQ(ending(forked(changes, s)), 0);
    OK(madvise(s, 2 * PAGE, MADV_DONTNEED));
    EXPECT_EQ(s->count, 7);
    OK(munmap(s, 2 * PAGE));
}

// --- futexes ----------------------------------------------------------------------------------

static int waits_for_change(struct shared *s)
{
    atomic_fetch_add(&s->ready, 1);
    while (atomic_load(&s->word) == 0)
        if (wait_for(&s->word, 0, NULL) != 0 && errno != EAGAIN)
            return errno;
    return 0;
}

static void await_ready(struct shared *s, unsigned count)
{
    while (atomic_load(&s->ready) < count)
        sched_yield();
}

CHECK(futex, shared_wake, "a futex in shared memory is woken by another process")
{
    struct shared *s = share();
    for (int round = 0; round < 20; round++) {
        atomic_store(&s->word, 0);
        atomic_store(&s->ready, 0);
        const pid_t pid = forked(waits_for_change, s);
        await_ready(s, 1);
        if (round % 2)
            await_blocked(pid, pid);
        atomic_store(&s->word, 1);
        EXPECT(wake(&s->word, 1) <= 1);
        EXPECT_EQ(ending(pid), 0);
    }
}

CHECK(futex, shared_errors, "a futex in shared memory: EAGAIN, ETIMEDOUT, nobody to wake")
{
    struct shared *s = share();
    const struct timespec soon = {.tv_nsec = 1000000};
    EXPECT_ERRNO(wait_for(&s->word, 1, NULL), EAGAIN);
    EXPECT_ERRNO(wait_for(&s->word, 0, &soon), ETIMEDOUT);
    EXPECT_EQ(wake(&s->word, 10), 0);
}

static int waits_once(struct shared *s)
{
    atomic_fetch_add(&s->ready, 1);
    return wait_for(&s->word, 0, NULL) == 0 ? 0 : errno;
}

CHECK(futex, shared_dead_waiter, "a process that was killed while it waits takes nobody's wake-up")
{
    struct shared *s = share();
    const pid_t first = forked(waits_once, s);
    await_ready(s, 1);
    await_blocked(first, first);
    const pid_t second = forked(waits_once, s);
    await_ready(s, 2);
    await_blocked(second, second);
    OK(kill(first, SIGKILL));
    EXPECT_EQ(ending(first), 1000 + SIGKILL);
    EXPECT_EQ(wake(&s->word, 1), 1);
    EXPECT_EQ(ending(second), 0);
    EXPECT_EQ(wake(&s->word, 1), 0);
}

CHECK(futex, shared_requeue, "FUTEX_CMP_REQUEUE between words of shared memory")
{
    struct shared *s = share();
    pid_t pids[CHILDREN];
    for (unsigned i = 0; i < CHILDREN; i++) {
        pids[i] = forked(waits_once, s);
        await_ready(s, i + 1);
        await_blocked(pids[i], pids[i]);
    }
    EXPECT_ERRNO(syscall(SYS_futex, &s->word, FUTEX_CMP_REQUEUE, 1, 9L, &s->other, 5), EAGAIN);
    EXPECT_EQ(syscall(SYS_futex, &s->word, FUTEX_CMP_REQUEUE, 1, 9L, &s->other, 0), CHILDREN);
    EXPECT_EQ(wake(&s->word, 9), 0);
    EXPECT_EQ(wake(&s->other, 9), CHILDREN - 1);
    for (int i = 0; i < CHILDREN; i++)
        EXPECT_EQ(ending(pids[i]), 0);
}

static void nothing(int number)
{
    (void)number;
}

static int waits_interrupted(struct shared *s)
{
    const struct sigaction action = {.sa_handler = nothing};
    sigaction(SIGUSR1, &action, NULL);
    atomic_fetch_add(&s->ready, 1);
    return wait_for(&s->word, 0, NULL) == 0 ? 0 : errno;
}

CHECK(futex, shared_interrupted, "a signal ends a wait in shared memory, and it is in nobody's way then")
{
    struct shared *s = share();
    const pid_t pid = forked(waits_interrupted, s);
    await_ready(s, 1);
    int status;
    do {
        await_blocked(pid, pid);
        OK(kill(pid, SIGUSR1));
        sched_yield();
    } while (waitpid(pid, &status, WNOHANG) == 0);
    EXPECT(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), EINTR);
    EXPECT_EQ(wake(&s->word, 1), 0);
}

// --- what C makes of them ---------------------------------------------------------------------

static void make_mutex(struct shared *s, int robust)
{
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    EXPECT_EQ(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED), 0);
    if (robust)
        EXPECT_EQ(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST), 0);
    EXPECT_EQ(pthread_mutex_init(&s->mutex, &attributes), 0);
}

static int counts(struct shared *s)
{
    for (int i = 0; i < ROUNDS; i++) {
        if (pthread_mutex_lock(&s->mutex))
            return 1;
        const long before = s->count;
        // The others find it held.
        sched_yield();
        s->count = before + 1;
        pthread_mutex_unlock(&s->mutex);
    }
    return 0;
}

CHECK(futex, shared_mutex, "a mutex between processes excludes: no count is lost")
{
    struct shared *s = share();
    make_mutex(s, 0);
    pid_t pids[CHILDREN];
    for (int i = 0; i < CHILDREN; i++)
        pids[i] = forked(counts, s);
    EXPECT_EQ(counts(s), 0);
    for (int i = 0; i < CHILDREN; i++)
        EXPECT_EQ(ending(pids[i]), 0);
    EXPECT_EQ(s->count, (CHILDREN + 1) * ROUNDS);
}

static void make_cond(struct shared *s)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    EXPECT_EQ(pthread_condattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED), 0);
    EXPECT_EQ(pthread_cond_init(&s->cond, &attributes), 0);
}

static int alternates(struct shared *s, long mine)
{
    for (int i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&s->mutex);
        while (s->turn != mine)
            pthread_cond_wait(&s->cond, &s->mutex);
        s->turn = !mine;
        s->count++;
        pthread_cond_broadcast(&s->cond);
        pthread_mutex_unlock(&s->mutex);
    }
    return 0;
}

static int second_turn(struct shared *s)
{
    return alternates(s, 1);
}

CHECK(futex, shared_cond, "a condition between processes: two take turns")
{
    struct shared *s = share();
    make_mutex(s, 0);
    make_cond(s);
    const pid_t pid = forked(second_turn, s);
    alternates(s, 0);
    EXPECT_EQ(ending(pid), 0);
    EXPECT_EQ(s->count, 2 * ROUNDS);
}

static int meets(struct shared *s)
{
    for (int i = 0; i < 20; i++) {
        const int result = pthread_barrier_wait(&s->barrier);
        if (result != 0 && result != PTHREAD_BARRIER_SERIAL_THREAD)
            return 1;
        // Nobody is a round ahead.
        if (atomic_fetch_add(&s->word, 1) / (CHILDREN + 1) != (unsigned)i)
            return 2;
        pthread_barrier_wait(&s->barrier);
    }
    return 0;
}

CHECK(futex, shared_barrier, "a barrier between processes")
{
    struct shared *s = share();
    pthread_barrierattr_t attributes;
    pthread_barrierattr_init(&attributes);
    EXPECT_EQ(pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED), 0);
    EXPECT_EQ(pthread_barrier_init(&s->barrier, &attributes, CHILDREN + 1), 0);
    pid_t pids[CHILDREN];
    for (int i = 0; i < CHILDREN; i++)
        pids[i] = forked(meets, s);
    EXPECT_EQ(meets(s), 0);
    for (int i = 0; i < CHILDREN; i++)
        EXPECT_EQ(ending(pids[i]), 0);
}

static int answers(struct shared *s)
{
    for (int i = 0; i < ROUNDS; i++)
        if (sem_wait(&s->first) || sem_post(&s->second))
            return 1;
    return 0;
}

CHECK(futex, shared_semaphore, "sem_init with pshared: two processes wait for each other")
{
    struct shared *s = share();
    OK(sem_init(&s->first, 1, 0));
    OK(sem_init(&s->second, 1, 0));
    const pid_t pid = forked(answers, s);
    for (int i = 0; i < ROUNDS; i++) {
        OK(sem_post(&s->first));
        OK(sem_wait(&s->second));
    }
    EXPECT_EQ(ending(pid), 0);
}

static int dies_with_mutex(struct shared *s)
{
    pthread_mutex_lock(&s->mutex);
    atomic_store(&s->ready, 1);
    for (;;)
        pause();
    return 0;
}

static int takes_from_the_dead(struct shared *s)
{
    atomic_store(&s->other, 1);
    const int error = pthread_mutex_lock(&s->mutex);
    if (error != EOWNERDEAD)
        return error + 1;
    return pthread_mutex_consistent(&s->mutex) || pthread_mutex_unlock(&s->mutex);
}

CHECK(futex, shared_robust, "a robust mutex whose owner was killed: EOWNERDEAD for who waits, and consistent again")
{
    struct shared *s = share();
    make_mutex(s, 1);
    const pid_t owner = forked(dies_with_mutex, s);
    await_ready(s, 1);
    EXPECT_EQ(pthread_mutex_trylock(&s->mutex), EBUSY);
    const pid_t waiter = forked(takes_from_the_dead, s);
    while (atomic_load(&s->other) == 0)
        sched_yield();
    await_blocked(waiter, waiter);
    OK(kill(owner, SIGKILL));
    EXPECT_EQ(ending(owner), 1000 + SIGKILL);
    EXPECT_EQ(ending(waiter), 0);
    EXPECT_EQ(pthread_mutex_lock(&s->mutex), 0);
    EXPECT_EQ(pthread_mutex_unlock(&s->mutex), 0);
}

static int exits_with_mutex(struct shared *s)
{
    return pthread_mutex_lock(&s->mutex);
}

CHECK(futex, shared_robust_exit, "so it is when its owner exits with it; unrecovered it is of no use: ENOTRECOVERABLE")
{
    struct shared *s = share();
    make_mutex(s, 1);
    EXPECT_EQ(ending(forked(exits_with_mutex, s)), 0);
    EXPECT_EQ(pthread_mutex_lock(&s->mutex), EOWNERDEAD);
    EXPECT_EQ(pthread_mutex_unlock(&s->mutex), 0);
    EXPECT_EQ(pthread_mutex_lock(&s->mutex), ENOTRECOVERABLE);
}

// --- by name ----------------------------------------------------------------------------------

ROLE(posts_by_name)
{
    sem_t *to = sem_open(arguments[0], 0), *from = sem_open(arguments[1], 0);
    if (to == SEM_FAILED || from == SEM_FAILED)
        return 1;
    for (int i = 0; i < 20; i++)
        if (sem_wait(to) || sem_post(from))
            return 2;
    return 0;
}

CHECK(futex, named_semaphore, "sem_open: another program finds the semaphore by its name")
{
    char names[2][32];
    sem_t *semaphores[2];
    for (int i = 0; i < 2; i++) {
        snprintf(names[i], sizeof names[i], "/posix-%d-%d", (int)getpid(), i);
        sem_unlink(names[i]);
        semaphores[i] = sem_open(names[i], O_CREAT | O_EXCL, 0600, 0);
        if (semaphores[i] == SEM_FAILED)
            fail_errno(__FILE__, __LINE__, "sem_open", errno);
    }
    const pid_t pid = child("posts_by_name", names[0], names[1], NULL);
    for (int i = 0; i < 20; i++) {
        OK(sem_post(semaphores[0]));
        OK(sem_wait(semaphores[1]));
    }
    EXPECT_EQ(ending(pid), 0);
    for (int i = 0; i < 2; i++) {
        OK(sem_close(semaphores[i]));
        OK(sem_unlink(names[i]));
    }
}

ROLE(maps_by_name)
{
    const int fd = shm_open(arguments[0], O_RDWR, 0);
    if (fd < 0)
        return 1;
    // At another address.
    mmap(NULL, 7 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct shared *s = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (s == MAP_FAILED)
        return 2;
    return waits_for_change(s) + exits_with_mutex(s);
}

CHECK(futex, named_memory, "shm_open: programs that map a file wait for words and robust mutexes in it")
{
    char name[32];
    snprintf(name, sizeof name, "/posix-%d", (int)getpid());
    const int fd = OK(shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600));
    OK(ftruncate(fd, PAGE));
    struct shared *s = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    EXPECT(s != MAP_FAILED);
    make_mutex(s, 1);
    const pid_t pid = child("maps_by_name", name, NULL);
    await_ready(s, 1);
    await_blocked(pid, pid);
    atomic_store(&s->word, 1);
    wake(&s->word, 1);
    EXPECT_EQ(ending(pid), 0);
    EXPECT_EQ(pthread_mutex_lock(&s->mutex), EOWNERDEAD);
    OK(munmap(s, PAGE));
    OK(close(fd));
    OK(shm_unlink(name));
}
