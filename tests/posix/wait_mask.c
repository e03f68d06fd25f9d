// SPDX-License-Identifier: BSD-2-Clause
// Signal masks of ppoll, pselect and epoll_pwait: swapping and waiting are one step (trap 10).
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include "harness.h"
#include "helpers.h"
#include "thread.h"

static atomic_int caught;

static void catches(int signal)
{
    (void)signal;
    caught++;
}

// The calling thread catches SIGUSR1, and blocks it; the set is that with SIGUSR1 let through.
static sigset_t blocks_what_it_catches(void)
{
    struct sigaction action = {.sa_handler = catches};
    sigset_t one, before;
    caught = 0;
    OK(sigaction(SIGUSR1, &action, NULL));
    sigemptyset(&one);
    sigaddset(&one, SIGUSR1);
    EXPECT_EQ(pthread_sigmask(SIG_BLOCK, &one, &before), 0);
    sigdelset(&before, SIGUSR1);
    return before;
}

static int is_blocked(void)
{
    sigset_t now;
    EXPECT_EQ(pthread_sigmask(SIG_BLOCK, NULL, &now), 0);
    return sigismember(&now, SIGUSR1);
}

// The three calls, with a mask for as long as they wait.
static int by_epoll_pwait(int fd, int ms, const sigset_t *mask)
{
    struct epoll_event event;
    return epoll_pwait(fd, &event, 1, ms, mask);
}

static int by_ppoll(int fd, int ms, const sigset_t *mask)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    return ppoll(&one, 1, &time, mask);
}

static int by_pselect(int fd, int ms, const sigset_t *mask)
{
    fd_set in;
    FD_ZERO(&in);
    FD_SET(fd, &in);
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    return pselect(fd + 1, &in, NULL, NULL, &time, mask);
}

typedef int call(int fd, int ms, const sigset_t *mask);

// A signal that waits is let through by the call's mask, ends the wait, and the old mask is back.
static void lets_through(call *wait)
{
    const sigset_t through = blocks_what_it_catches();
    int fd = new_epoll();
    OK(raise(SIGUSR1));
    EXPECT_EQ(caught, 0);
    EXPECT_ERRNO(wait(fd, HANG_MS, &through), EINTR);
    EXPECT_EQ(caught, 1);
    EXPECT_EQ(is_blocked(), 1);
    // It came once.
    EXPECT_EQ(wait(fd, 1, &through), 0);
    EXPECT_EQ(caught, 1);
    EXPECT_EQ(pthread_sigmask(SIG_SETMASK, &through, NULL), 0);
}

// A signal that only the call blocks does not end the wait; it comes when the call has.
static void keeps_out(call *wait)
{
    const sigset_t through = blocks_what_it_catches();
    sigset_t without = through;
    sigaddset(&without, SIGUSR1);
    int fd = new_epoll();
    OK(raise(SIGUSR1));
    EXPECT_EQ(wait(fd, 1, &without), 0);
    EXPECT_EQ(caught, 0);
    EXPECT_EQ(pthread_sigmask(SIG_SETMASK, &through, NULL), 0);
    EXPECT_EQ(caught, 1);
}

CHECK(mask, trap_10_epoll_pwait_lets_through, "epoll_pwait lets a waiting signal through: EINTR, and the mask is the old one")
{
    lets_through(by_epoll_pwait);
}

CHECK(mask, trap_10_ppoll_lets_through, "ppoll lets a waiting signal through: EINTR, and the mask is the old one")
{
    lets_through(by_ppoll);
}

CHECK(mask, trap_10_pselect_lets_through, "pselect lets a waiting signal through: EINTR, and the mask is the old one")
{
    lets_through(by_pselect);
}

CHECK(mask, trap_10_epoll_pwait_keeps_out, "a signal that is blocked during epoll_pwait does not end it")
{
    keeps_out(by_epoll_pwait);
}

CHECK(mask, trap_10_ppoll_keeps_out, "a signal that is blocked during ppoll does not end it")
{
    keeps_out(by_ppoll);
}

CHECK(mask, trap_10_pselect_keeps_out, "a signal that is blocked during pselect does not end it")
{
    keeps_out(by_pselect);
}

// --- the race ---------------------------------------------------------------------------------

#define ROUNDS 200

static sem_t gate;
static call *raced;
static int epoll_fd;
static atomic_int lost;

// Looks whether the signal has come, and waits if not: what cannot be done right without the mask.
static void *waits_for_each(void *unused)
{
    const sigset_t through = blocks_what_it_catches();
    for (int round = 1; round <= ROUNDS; round++) {
        sem_post(&gate);
        while (caught < round)
            if (raced(epoll_fd, HANG_MS, &through) != -1) {
                // The signal came between look and wait.
                lost = 1;
                sem_post(&gate);
                return unused;
            }
    }
    return unused;
}

static void in_a_race(call *wait)
{
    raced = wait;
    epoll_fd = new_epoll();
    lost = 0;
    sem_init(&gate, 0, 0);
    pthread_t thread = started(waits_for_each, NULL);
    for (int round = 0; round < ROUNDS && !lost; round++) {
        sem_wait(&gate);
        for (int delay = 0; delay < round % 5; delay++)
            sched_yield();
        EXPECT_EQ(pthread_kill(thread, SIGUSR1), 0);
    }
    joined(thread);
    EXPECT_EQ(lost, 0);
}

CHECK(mask, trap_10_epoll_pwait_is_one_step, "two hundred signals at any moment around epoll_pwait end it each")
{
    in_a_race(by_epoll_pwait);
}

CHECK(mask, trap_10_ppoll_is_one_step, "two hundred signals at any moment around ppoll end it each")
{
    in_a_race(by_ppoll);
}

CHECK(mask, trap_10_pselect_is_one_step, "two hundred signals at any moment around pselect end it each")
{
    in_a_race(by_pselect);
}
