// SPDX-License-Identifier: BSD-2-Clause
// Calls that block: what goes on through a cancellation that is disabled, and what sleeps until there is room for it.
#define _GNU_SOURCE
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "harness.h"
#include "helpers.h"
#include "process.h"
#include "thread.h"

#define LARGEST (UINT64_MAX - 1)

static sem_t handled;
static int ready;

static void on_signal(int signal)
{
    (void)signal;
    sem_post(&handled);
}

static void *reads_uncancelled(void *fd)
{
    char byte;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    if (write(ready, "r", 1) != 1)
        return (void *)2;
    const ssize_t n = read((int)(intptr_t)fd, &byte, 1);
    return (void *)(n == 1 ? 42L : 1L);
}

CHECK(thread, cancel_disabled_blocked, "pthread_cancel leaves a blocking call alone in a thread that has cancellation disabled")
{
    // SIGUSR1 comes after the cancellation's own signal, so both have been handled once its handler has run.
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, before;
    const struct ends p = new_pipe(0), up = new_pipe(0);
    char byte;
    sem_init(&handled, 0, 0);
    OK(sigaction(SIGUSR1, &action, &before));
    ready = up.w;
    pthread_t thread = started(reads_uncancelled, (void *)(intptr_t)p.r);
    get(up.r, &byte, 1);
    EXPECT_EQ(pthread_cancel(thread), 0);
    EXPECT_EQ(pthread_kill(thread, SIGUSR1), 0);
    sem_wait(&handled);
    put(p.w, "x");
    EXPECT_EQ((intptr_t)joined(thread), 42);
    OK(sigaction(SIGUSR1, &before, NULL));
}

static ssize_t give(int fd, uint64_t value)
{
    return write(fd, &value, sizeof value);
}

// A semaphore with room for 1.
static int nearly_full(void)
{
    const int fd = OK(eventfd(0, EFD_SEMAPHORE));
    EXPECT_EQ(give(fd, LARGEST - 1), 8);
    return fd;
}

static void take_one(int fd)
{
    uint64_t value;
    EXPECT_EQ(read(fd, &value, sizeof value), 8);
    EXPECT_EQ(value, 1);
}

// Waits until /proc says that a child sleeps.
static void await_sleeping(pid_t pid)
{
    char path[32], state = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    for (const int64_t end = now_ns() + MS(HANG_MS); state != 'S';) {
        FILE *file = fopen(path, "r");
        EXPECT(file != NULL);
        const int found = fscanf(file, "%*d (%*[^)]) %c", &state);
        fclose(file);
        EXPECT_EQ(found, 1);
        EXPECT(now_ns() < end);
        sched_yield();
    }
}

CHECK(thread, eventfd_write_sleeps, "a write to an eventfd sleeps until there is room for all of it, also where there is room for less")
{
    const int fd = nearly_full();
    const pid_t pid = fork();
    if (pid == 0)
        _exit(give(fd, 3) == 8 ? 42 : 1);
    note_child(OK(pid));
    await_sleeping(pid);
    take_one(fd);
    await_sleeping(pid);
    take_one(fd);
    EXPECT_EQ(ending(pid), 42);
    OK(fcntl(fd, F_SETFL, O_NONBLOCK));
    EXPECT_ERRNO(give(fd, 1), EAGAIN);
}

static void *gives_three(void *fd)
{
    return (void *)(give((int)(intptr_t)fd, 3) == 8 ? 42L : 1L);
}

CHECK(thread, eventfd_write_wakes, "each read of an eventfd has a thread that lacks room in it try again")
{
    const int fd = nearly_full();
    pthread_t thread = started(gives_three, (void *)(intptr_t)fd);
    await_blocked(0, 0);
    take_one(fd);
    sched_yield();
    take_one(fd);
    EXPECT_EQ((intptr_t)joined(thread), 42);
    OK(fcntl(fd, F_SETFL, O_NONBLOCK));
    EXPECT_ERRNO(give(fd, 1), EAGAIN);
}

CHECK(thread, eventfd_write_interrupted, "a signal ends a write that lacks room in an eventfd, with EINTR")
{
    struct sigaction action = {.sa_handler = on_signal};
    const int fd = nearly_full();
    const pid_t pid = fork();
    if (pid == 0) {
        sem_init(&handled, 0, 0);
        sigaction(SIGUSR1, &action, NULL);
        _exit(give(fd, 3) == -1 && errno == EINTR ? 42 : 1);
    }
    note_child(OK(pid));
    await_sleeping(pid);
    OK(kill(pid, SIGUSR1));
    EXPECT_EQ(ending(pid), 42);
}
